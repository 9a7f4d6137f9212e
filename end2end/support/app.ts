// The running product as the tests see it: where it listens, who may sign in, and its command line.
import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

export const projectDir = resolve(import.meta.dirname, '../..');
export const binary = process.env.ORCHESTRATOR_BINARY ?? join(projectDir, 'target/release/orchestrator');

/** What the server under test is started with; its command line needs the same. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = { ...process.env };
  // It shall use its own Postgres and Redis.
  delete environment.DATABASE_URL;
  delete environment.REDIS_URL;
  return environment;
}

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: the global setup sets it`);
  return value;
}

/** Read when used, since the global setup sets them after this file is loaded. */
export const app = {
  /** `http://127.0.0.1:PORT`, also Playwright's base URL */
  get baseUrl(): string {
    return setting('ORCHESTRATOR_BASE_URL');
  },
  get email(): string {
    return setting('ORCHESTRATOR_ADMIN_EMAIL');
  },
  get password(): string {
    return setting('ORCHESTRATOR_ADMIN_PASSWORD');
  },
  /** the data folder of its Postgres and Redis */
  get dataDir(): string {
    return setting('ORCHESTRATOR_DATA');
  },
  /** a file with what the server printed */
  get serverLog(): string {
    return setting('ORCHESTRATOR_SERVER_LOG');
  },
};

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `orchestrator ARGUMENTS...` on the data of the running server. A failure is a code, not an exception. */
export async function orchestrator(...commandArguments: string[]): Promise<CommandResult> {
  try {
    const { stdout, stderr } = await promisify(execFile)(binary, commandArguments, { cwd: projectDir, env: serverEnvironment(), maxBuffer: 1 << 24 });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: unknown; stdout?: string; stderr?: string };
    if (typeof code !== 'number') throw error;
    return { code, stdout: stdout ?? '', stderr: stderr ?? '' };
  }
}

/** Runs SQL as the superuser of the private Postgres and returns the rows as unaligned text. */
export async function sql(text: string): Promise<string> {
  const { stdout } = await promisify(execFile)('psql', ['-XAt', '-v', 'ON_ERROR_STOP=1', '-h', join(app.dataDir, 'run'), '-U', 'postgres', '-d', 'orchestrator', '-c', text]);
  return stdout.trim();
}
