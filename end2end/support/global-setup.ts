// Starts the real binary with a fresh data folder before all tests, and stops it after them.
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, chmodSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { binary, projectDir, serverEnvironment } from './app.ts';

/** A first start makes a database cluster. */
const START_LIMIT_MS = 120_000;
/** Postgres has 30 s to end in good order. */
const STOP_LIMIT_MS = 45_000;

export default async function globalSetup(): Promise<() => Promise<void>> {
  if (!existsSync(binary)) throw new Error(`${binary} is missing: run ./test, which builds it`);
  const folder = mkdtempSync(join(tmpdir(), 'orchestrator-end2end-'));
  // Root's Postgres runs as another user, who must be able to pass.
  chmodSync(folder, 0o711);
  const port = await freePort();
  // The tests read these in `app.ts`.
  process.env.ORCHESTRATOR_BASE_URL = `http://127.0.0.1:${port}`;
  process.env.ORCHESTRATOR_DATA = join(folder, 'data');
  process.env.ORCHESTRATOR_LISTEN = `127.0.0.1:${port}`;
  process.env.ORCHESTRATOR_ADMIN_EMAIL = 'operator@example.com';
  process.env.ORCHESTRATOR_ADMIN_PASSWORD = 'correct-horse-battery-staple';

  const log = join(folder, 'server.log');
  const output = openSync(log, 'a');
  const server = spawn(binary, ['serve', '--allow-simulated-time'], { cwd: projectDir, env: serverEnvironment(), stdio: ['ignore', output, output] });
  closeSync(output);
  process.env.ORCHESTRATOR_SERVER_LOG = log;
  // Should this process end early, the server must not stay behind.
  process.once('exit', () => server.kill('SIGTERM'));
  try {
    await waitUntilReady(server, `${process.env.ORCHESTRATOR_BASE_URL}/readyz`);
  } catch (error) {
    await stop(server);
    const end = readFileSync(log, 'utf8').split('\n').slice(-40).join('\n');
    rmSync(folder, { recursive: true, force: true });
    throw new Error(`${String(error)}; the end of its log:\n${end}`);
  }
  return async () => {
    await stop(server);
    if (process.env.KEEP_DATA) console.log(`kept ${folder}`);
    else rmSync(folder, { recursive: true, force: true });
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

async function waitUntilReady(server: ChildProcess, url: string): Promise<void> {
  let failure: unknown;
  server.once('error', (error) => (failure = error));
  for (const end = Date.now() + START_LIMIT_MS; Date.now() < end; ) {
    if (failure !== undefined) throw failure;
    if (server.exitCode !== null || server.signalCode !== null) throw new Error(`the server ended with ${server.exitCode ?? server.signalCode}`);
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`the server was not ready after ${START_LIMIT_MS / 1000} s`);
}

async function stop(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null || server.pid === undefined) return;
  const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()));
  // As Ctrl-C does.
  server.kill('SIGINT');
  const timer = setTimeout(() => server.kill('SIGKILL'), STOP_LIMIT_MS);
  await ended;
  clearTimeout(timer);
}
