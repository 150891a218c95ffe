/** What AWS may answer to the webhook's request, and the status that the sender must get. */
export interface AnswerCase {
  readonly delivery: "bus" | "direct";
  /** AWS's HTTP status. */
  readonly status: number;
  readonly body: string;
  readonly answer: 200 | 400 | 503;
}

const SERIALIZATION = '{"__type":"SerializationException"}';
const SECRET_OF_AWS = "arn:aws:iam::123456789012:role/build";

const ofBoth = (status: number, body: string, answer: AnswerCase["answer"]): AnswerCase[] => [
  { delivery: "bus", status, body, answer },
  { delivery: "direct", status, body, answer },
];

export const ANSWERS: readonly AnswerCase[] = [
  { delivery: "bus", status: 200, body: '{"FailedEntryCount":0,"Entries":[{"EventId":"e-1"}]}', answer: 200 },
  {
    delivery: "bus",
    status: 200,
    body: '{"FailedEntryCount":1,"Entries":[{"ErrorCode":"InternalFailure","ErrorMessage":"x"}]}',
    answer: 503,
  },
  { delivery: "bus", status: 200, body: '{"FailedEntryCount":12,"Entries":[]}', answer: 503 },
  { delivery: "bus", status: 200, body: '{"FailedEntryCount":null}', answer: 503 },
  { delivery: "bus", status: 200, body: "{}", answer: 503 },
  {
    delivery: "direct",
    status: 200,
    body: `{"build":{"arn":"${SECRET_OF_AWS}","buildStatus":"IN_PROGRESS","environment":{}}}`,
    answer: 200,
  },
  ...ofBoth(400, SERIALIZATION, 400),
  ...ofBoth(400, '{"__type":"com.amazon.coral.service#SerializationException","Message":"x"}', 400),
  ...ofBoth(400, '{"__type":"ValidationException","message":"x"}', 400),
  ...ofBoth(400, '{"__type":"com.amazon.coral.validate#ValidationException"}', 400),
  ...ofBoth(400, '{"__type":"ThrottlingException","message":"Rate exceeded"}', 503),
  ...ofBoth(
    400,
    '{"__type":"AccountLimitExceededException","message":"Cannot have more than 1 builds in queue"}',
    503,
  ),
  ...ofBoth(400, '{"__type":"InvalidInputException","message":"x"}', 503),
  ...ofBoth(400, '{"__type":"ResourceNotFoundException"}', 503),
  ...ofBoth(
    400,
    `{"__type":"AccessDeniedException","Message":"User: ${SECRET_OF_AWS} is not authorized"}`,
    503,
  ),
  ...ofBoth(400, '{"message":"no type, but Validation in the message"}', 503),
  ...ofBoth(400, '{"__type":null}', 503),
  ...ofBoth(400, '{"__type":7}', 503),
  ...ofBoth(400, '{"__type":["ValidationException"]}', 503),
  ...ofBoth(400, '{"__type":{"Validation":"x"}}', 503),
  ...ofBoth(400, "{}", 503),
  ...ofBoth(400, "[]", 503),
  ...ofBoth(403, '{"__type":"UnrecognizedClientException"}', 503),
  ...ofBoth(404, '{"__type":"UnknownOperationException"}', 503),
  ...ofBoth(429, '{"__type":"TooManyRequestsException"}', 503),
  ...ofBoth(500, '{"__type":"InternalFailure"}', 503),
  ...ofBoth(502, "<html>Bad gateway</html>", 503),
  ...ofBoth(503, "", 503),
  ...ofBoth(500, SERIALIZATION, 503),
];
