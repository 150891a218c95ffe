import { synthesise } from "../support/stack";

const subscriptions = (emails: string[]) =>
  synthesise({ alerts: { emails } })
    .all("aws_sns_topic_subscription")
    .map(({ address, body }) => [address, body.endpoint]);

describe("Alerts", () => {
  test("has a subscription for each address, and none without", () => {
    expect(subscriptions([])).toEqual([]);
    const [one] = subscriptions(["ops@example.com"]);
    expect(one).toEqual([
      expect.stringMatching(/^aws_sns_topic_subscription\.alerts_\w+$/),
      "ops@example.com",
    ]);
  });

  test("leaves the others alone when one is taken away: nobody has to confirm again", () => {
    const rest = subscriptions(["b@example.com", "c@example.com"]);
    expect(subscriptions(["a@example.com", "b@example.com", "c@example.com"])).toEqual(
      expect.arrayContaining(rest),
    );
  });

  test("tells addresses apart that differ in punctuation alone", () => {
    expect(subscriptions(["a.b@example.com", "a_b@example.com", "ab@example.com"])).toHaveLength(3);
  });
});
