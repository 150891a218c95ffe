import { absent } from "../../rehearsal/metrics";

const THERE = { QueueName: ["p-push-dead-letters"], ApiName: ["p-webhook"], Stage: ["backlog"] };

describe("absent", () => {
  test("says nothing when all that is watched is there", () => {
    const watched = [{ by: 'the graph "received"', dimensions: { ApiName: "p-webhook", Stage: "backlog" } }];
    expect(absent(watched, THERE)).toEqual([]);
  });

  test("names each name that is not, and who watches it", () => {
    const watched = [
      { by: "the alarm p-dead-letters", dimensions: { QueueName: "p-dead-letters" } },
      { by: 'the graph "received"', dimensions: { ApiName: "p-webhook", Method: "POST" } },
    ];
    expect(absent(watched, THERE)).toEqual([
      'the alarm p-dead-letters watches the QueueName "p-dead-letters", which is not deployed',
      'the graph "received" watches the Method "POST", which is not deployed',
    ]);
  });

  test("is not content with nothing to look at", () => {
    expect(absent([], THERE)).toHaveLength(1);
  });
});
