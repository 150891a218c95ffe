import { unsuitable } from "../../../rehearsal/machine/container-engine";

describe("unsuitable", () => {
  const facts = {
    version: "28.0.0",
    operatingSystem: "Debian GNU/Linux 12",
    security: ["name=seccomp"],
    product: "Engine",
  };
  const host = "unix:///var/run/docker.sock";

  test("takes an engine of this machine", () => {
    expect(unsuitable(facts, host)).toBeUndefined();
  });

  test.each([
    ["on another machine", facts, "tcp://10.0.0.1:2375", /on another machine/],
    ["reached over ssh", facts, "ssh://host", /on another machine/],
    ["in a virtual machine", { ...facts, operatingSystem: "Docker Desktop" }, host, /Docker Desktop/],
    ["that is rootless", { ...facts, security: ["name=rootless"] }, host, /rootless/],
    ["that is Podman", { ...facts, product: '[{"Name":"Podman Engine"}]' }, host, /Podman/],
  ])("refuses one %s, with the reason", (_what, those, at, reason) => {
    expect(unsuitable(those, at)).toMatch(reason);
  });
});
