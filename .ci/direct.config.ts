import { defineConfig } from "../config/define-config";
import shipped from "../pipeline.config";

/** The shipped configuration without the bus. */
export default defineConfig({ ...shipped, webhook: { ...shipped.webhook, delivery: "direct" } });
