import { readApiRequest } from "../../../rehearsal/aws/api-request";

const scope = (service: string) =>
  `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-west-1/${service}/aws4_request, SignedHeaders=host, Signature=x`;

const read = (
  method: string,
  url: string,
  service: string,
  headers: Record<string, string> = {},
  body = "",
) => readApiRequest(method, url, { authorization: scope(service), ...headers }, Buffer.from(body));

describe("readApiRequest", () => {
  test("reads operation and parameters of a JSON service from the target header", () => {
    const headers = { "x-amz-target": "CodeBuild_20161006.StartBuild" };
    expect(read("POST", "/", "codebuild", headers, '{"projectName":"p"}')).toMatchObject({
      service: "codebuild",
      action: "StartBuild",
      accessKeyId: "AKIDEXAMPLE",
      protocol: "json",
      parameters: { projectName: "p" },
    });
  });

  test("reads the query protocol from a form", () => {
    const headers = { "content-type": "application/x-www-form-urlencoded; charset=utf-8" };
    const body = "Action=ModifyListener&ListenerArn=arn%3Al&DefaultActions.member.1.Type=forward";
    expect(read("POST", "/", "elasticloadbalancing", headers, body)).toMatchObject({
      action: "ModifyListener",
      protocol: "query",
      parameters: { ListenerArn: "arn:l", "DefaultActions.member.1.Type": "forward" },
    });
  });

  test("reads the operation of an RPC CBOR call from its path", () => {
    const url = "/service/GraniteServiceVersion20100801/operation/DescribeAlarms";
    expect(read("POST", url, "monitoring")).toMatchObject({ action: "DescribeAlarms", protocol: "cbor" });
  });

  test("does not tell the operations of API Gateway apart", () => {
    expect(read("GET", "/restapis", "apigateway")).toMatchObject({
      action: "Unknown",
      protocol: "rest-json",
    });
  });

  test.each([
    ["GET", "/b/k/l%20m?x-id=GetObject", "GetObject", { Bucket: "b", Key: "k/l m" }],
    ["GET", "/b/k?versionId=7&x-id=GetObject", "GetObject", { Bucket: "b", Key: "k", VersionId: "7" }],
    ["HEAD", "/b/k", "HeadObject", { Bucket: "b", Key: "k" }],
    ["PUT", "/b/k?x-id=PutObject", "PutObject", { Bucket: "b", Key: "k" }],
    ["PUT", "/b/k?partNumber=1&uploadId=2", "Unknown", { Bucket: "b", Key: "k" }],
    ["PUT", "/b/k?acl", "Unknown", { Bucket: "b", Key: "k" }],
    ["DELETE", "/b/k", "Unknown", { Bucket: "b", Key: "k" }],
    ["GET", "/b/k?tagging", "GetObjectTagging", { Bucket: "b", Key: "k" }],
    ["GET", "/b?list-type=2&prefix=a", "ListObjectsV2", { Bucket: "b", Key: "" }],
    ["GET", "/b/?prefix=a", "ListObjects", { Bucket: "b", Key: "" }],
    ["GET", "/b?versioning", "GetBucketVersioning", { Bucket: "b", Key: "" }],
    ["GET", "/b?policy", "Unknown", { Bucket: "b", Key: "" }],
    ["PUT", "/b?versioning", "Unknown", { Bucket: "b", Key: "" }],
    ["HEAD", "/b", "HeadBucket", { Bucket: "b", Key: "" }],
    ["GET", "/", "Unknown", { Bucket: "", Key: "" }],
  ])("reads S3's %s %s as %s", (method, url, action, parameters) => {
    expect(read(method, url, "s3")).toMatchObject({ action, parameters, protocol: "s3" });
  });

  test("takes an object copy for another operation than a put", () => {
    expect(read("PUT", "/b/k", "s3", { "x-amz-copy-source": "/b/other" })).toMatchObject({
      action: "CopyObject",
    });
  });

  test("finds the caller of a presigned URL", () => {
    const url =
      "/b/k?X-Amz-Credential=AKIDEXAMPLE%2F20260101%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Signature=x";
    expect(readApiRequest("GET", url, {}, Buffer.alloc(0))).toMatchObject({
      service: "s3",
      action: "GetObject",
      accessKeyId: "AKIDEXAMPLE",
    });
  });

  test.each([{}, { authorization: "Bearer x" }, { authorization: "AWS4-HMAC-SHA256 Credential=only" }])(
    "attributes nothing to %j",
    (headers) => {
      expect(readApiRequest("GET", "/", headers, Buffer.alloc(0))).toBeUndefined();
    },
  );
});
