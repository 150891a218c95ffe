import { renderFaultTable } from "../../../rehearsal/faults/fault-table";

describe("renderFaultTable", () => {
  const [titles, good, bad] = renderFaultTable([
    { fault: { id: "1a", name: "throttled" }, happened: "built later", lost: [], seconds: 1.26 },
    {
      fault: { id: "2", name: "refused" },
      happened: "",
      lost: ["aaaaaaaaaa of refs/heads/main"],
      seconds: 10,
      trouble: "one delivery is not accounted for",
    },
  ]).split("\n");

  test("has a title for each column", () => {
    expect(titles?.trim().split(/ {2,}/)).toEqual(["fault", "what happened", "lost", "took"]);
  });

  test("says what happened, and that nothing was lost", () => {
    expect(good?.split(/ {2,}/)).toEqual(["1a", "throttled", "built later", "nothing", "1.3 s"]);
  });

  test("names what was lost, and what should not have been", () => {
    expect(bad).toMatch(
      /FAULT: one delivery is not accounted for +aaaaaaaaaa of refs\/heads\/main +10\.0 s$/,
    );
  });
});
