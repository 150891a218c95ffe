// Runs TypeScript through tsx, and leaves plain JavaScript to Node: tsx would look through every file of the AWS
// provider for ES modules, and Node would decode their source maps, which together is half of a synth's time.
const { _extensions: loaders } = require("node:module");

const loadJavaScript = loaders[".js"];
require("tsx/cjs");
loaders[".js"] = (module, file) => {
  process.setSourceMapsEnabled(false);
  try {
    loadJavaScript(module, file);
  } finally {
    process.setSourceMapsEnabled(true);
  }
};
