import { TokenBucket } from "../../../rehearsal/data-plane/token-bucket";

describe(TokenBucket, () => {
  test("lets a burst through, then as many a second as its rate", () => {
    let now = 0;
    const bucket = new TokenBucket(2, 3, () => now);
    const take = (times: number) => Array.from({ length: times }, () => bucket.take());
    expect(take(4)).toEqual([true, true, true, false]);
    now += 500;
    expect(take(2)).toEqual([true, false]);
    now += 60_000;
    expect(take(4)).toEqual([true, true, true, false]);
  });
});
