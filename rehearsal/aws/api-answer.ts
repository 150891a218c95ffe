import { randomUUID } from "node:crypto";
import type { ApiRequest } from "./api-request";
import type { AwsError, AwsResponse } from "./local-aws";

/** An answer with a JSON body. */
export function jsonAnswer(body: unknown, status = 200, headers: Record<string, string> = {}): AwsResponse {
  return {
    status,
    headers: {
      "content-type": "application/x-amz-json-1.1",
      "x-amzn-requestid": randomUUID(),
      ...headers,
    },
    body: Buffer.from(JSON.stringify(body)),
  };
}

/**
 * An error in the form in which the request's protocol answers errors. A denial is `AccessDeniedException` with
 * status 400 in the JSON protocols, and `AccessDenied` with status 403 elsewhere.
 *
 * @see https://smithy.io/2.0/aws/protocols/index.html
 */
export function errorAnswer({ protocol, method }: ApiRequest, error: AwsError): AwsResponse {
  const isDenial = error.code === "AccessDenied";
  switch (protocol) {
    case "json":
    case "rest-json": {
      const code = isDenial ? "AccessDeniedException" : error.code;
      const status = isDenial && protocol === "json" ? 400 : error.status;
      return jsonAnswer({ __type: code, message: error.message }, status, { "x-amzn-errortype": code });
    }
    case "cbor":
      return {
        status: error.status,
        headers: { "content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor" },
        body: cborMap({ __type: error.code, message: error.message }),
      };
    case "ec2": {
      const code = isDenial ? "UnauthorizedOperation" : error.code;
      return xmlAnswer(`<Response><Errors><Error>${inside(code, error)}</Error></Errors></Response>`, error);
    }
    case "query":
      return xmlAnswer(
        `<ErrorResponse><Error><Type>Sender</Type>${inside(error.code, error)}</Error><RequestId>${randomUUID()}</RequestId></ErrorResponse>`,
        error,
      );
    case "s3":
      // An answer to HEAD has no body, and so no code: clients see the bare status.
      return xmlAnswer(method === "HEAD" ? "" : `<Error>${inside(error.code, error)}</Error>`, error);
  }
}

function inside(code: string, { message }: AwsError): string {
  return `<Code>${escaped(code)}</Code><Message>${escaped(message)}</Message>`;
}

function xmlAnswer(xml: string, { status }: AwsError): AwsResponse {
  return { status, headers: { "content-type": "text/xml" }, body: Buffer.from(xml) };
}

function escaped(text: string): string {
  return text.replace(/[<>&]/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** A CBOR map of texts (RFC 8949): major types 5 and 3, lengths in two bytes. */
function cborMap(entries: Record<string, string>): Buffer {
  const text = (value: string) => {
    const bytes = Buffer.from(value);
    return Buffer.concat([Buffer.from([0x79, bytes.length >> 8, bytes.length & 0xff]), bytes]);
  };
  const pairs = Object.entries(entries);
  return Buffer.concat([Buffer.from([0xa0 | pairs.length]), ...pairs.flat().map(text)]);
}
