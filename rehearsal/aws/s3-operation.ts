/** What an S3 request does. */
export interface S3Operation {
  /** As in the API reference; `Unknown` for what nobody but the administrator needs here. */
  readonly action: string;
  readonly parameters: { readonly Bucket: string; readonly Key: string; readonly VersionId?: string };
}

/** Sub-resource in the query -> operation, by method. */
const BUCKET_READS: Readonly<Record<string, string>> = {
  versioning: "GetBucketVersioning",
  acl: "GetBucketAcl",
  location: "GetBucketLocation",
};

/** Query parameters that are no sub-resource: they do not change which operation it is. */
const PLAIN =
  /^(?:x-id|versionId|list-type|prefix|delimiter|max-keys|encoding-type|marker|continuation-token|start-after|fetch-owner|response-.*|x-amz-.*)$/i;

/**
 * Finds the operation of an S3 request in path style (`/bucket/key`).
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
 */
export function s3Operation(
  method: string,
  pathname: string,
  query: URLSearchParams,
  headers: Readonly<Record<string, string>>,
): S3Operation {
  const [, bucket = "", ...key] = pathname.split("/").map(decodeURIComponent);
  const versionId = query.get("versionId");
  const parameters = {
    Bucket: bucket,
    Key: key.join("/"),
    ...(versionId ? { VersionId: versionId } : {}),
  };
  const subresources = [...query.keys()].filter((name) => !PLAIN.test(name));
  return { action: operation(), parameters };

  function operation(): string {
    if (!bucket || subresources.length > 1) return "Unknown";
    const [subresource] = subresources;
    if (!parameters.Key) {
      if (subresource !== undefined) return (method === "GET" && BUCKET_READS[subresource]) || "Unknown";
      if (method === "HEAD") return "HeadBucket";
      if (method === "GET") return query.get("list-type") === "2" ? "ListObjectsV2" : "ListObjects";
      return "Unknown";
    }
    if (subresource === "tagging") return method === "GET" ? "GetObjectTagging" : "Unknown";
    if (subresource !== undefined) return "Unknown";
    if (method === "GET") return "GetObject";
    if (method === "HEAD") return "HeadObject";
    if (method === "PUT") return headers["x-amz-copy-source"] ? "CopyObject" : "PutObject";
    return "Unknown";
  }
}
