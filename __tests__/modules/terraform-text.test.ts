import { escapeTerraform } from "../../modules/terraform-text";

describe(escapeTerraform, () => {
  test.each([
    ["${x} %{if y}", "$${x} %%{if y}"],
    ["$x $!{x} %x #if({ $ {", "$x $!{x} %x #if({ $ {"],
    ["$${x}", "$$${x}"],
    ["", ""],
  ])("makes %j %j", (text, escaped) => expect(escapeTerraform(text)).toBe(escaped));
});
