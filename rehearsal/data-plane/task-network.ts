/** Where something listens on this machine. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

/**
 * The addresses of tasks. On AWS each task has a network interface, and so an address in its subnet under which
 * its container ports are reached; here the engine publishes those ports on loopback, and this table leads from
 * the one to the other. The addresses are not taken from the subnet, and security groups are not played.
 *
 * @see https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-networking-awsvpc.html
 */
export class TaskNetwork {
  private attached = 0;
  private readonly interfaces = new Map<string, ReadonlyMap<number, number>>();

  /** Gives a task an address of its own; `hostPorts` leads from its container ports to ports of 127.0.0.1. */
  attach(hostPorts: ReadonlyMap<number, number>): string {
    this.attached += 1;
    // Three bytes of one of the private networks, never the same twice, as a late packet would find the wrong task.
    const address = `10.${(this.attached >> 16) & 255}.${(this.attached >> 8) & 255}.${this.attached & 255}`;
    this.interfaces.set(address, hostPorts);
    return address;
  }

  detach(address: string): void {
    this.interfaces.delete(address);
  }

  /** Where `port` of a task's address is reached; `undefined` when there is no such task or port. */
  locate(address: string, port: number): Place | undefined {
    const hostPort = this.interfaces.get(address)?.get(port);
    return hostPort === undefined ? undefined : { host: "127.0.0.1", port: hostPort };
  }
}
