/**
 * Text that Terraform shall not evaluate: `${` and `%{` are doubled, as its string templates have it.
 * Values with references are put in afterwards, so that they alone are evaluated.
 * @see https://developer.hashicorp.com/terraform/language/expressions/strings#escape-sequences-1
 */
export function escapeTerraform(text: string): string {
  return text.replace(/([$%])\{/g, "$1$1{");
}
