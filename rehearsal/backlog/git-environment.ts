/**
 * Variables for git commands on the server's side: nothing of the caller's repository (a hook that starts a rehearsal
 * has `GIT_DIR` set) and none of the user's settings.
 */
export function gitEnvironment(): NodeJS.ProcessEnv {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("GIT_")));
  return { ...env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" };
}
