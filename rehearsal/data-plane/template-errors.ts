/** What Java would throw while it evaluates a template; API Gateway answers 500. */
export class TemplateError extends Error {
  override readonly name = "TemplateError";
}

/** A template uses something that this engine does not play. It says nothing about AWS, so it must never pass as an answer. */
export class NotPlayed extends Error {
  override readonly name = "NotPlayed";
  constructor(what: string) {
    super(`not played here: ${what}`);
  }
}
