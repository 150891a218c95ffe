// Preloaded by the benchmark: says at the end how much memory the process took at most.
process.on("exit", () => process.stderr.write(`maxRSS=${process.resourceUsage().maxRSS}`));
