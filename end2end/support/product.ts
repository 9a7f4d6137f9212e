// What journeys do again and again: sign in, add a site, send a partner's webhook, serve a page of somebody else's.
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { app, orchestrator, projectDir } from './app.ts';
import { expect, open, type Page } from './test.ts';

/** A person's browser: the headless one names itself a robot, and robots' clicks do not count. */
export const personsBrowser = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36';

/** A real project from npm: the starter of Keystone, with Next.js, React, Prisma and SQLite. */
export const realProject = join(projectDir, 'end2end/node_modules/create-keystone-app/starter');

export async function signIn(page: Page): Promise<void> {
  await open(page, '/sign-in');
  await page.getByLabel('E-mail').fill(app.email);
  await page.getByLabel('Password').fill(app.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Dashboard' })).toBeVisible();
}

export interface Site {
  site_id: string;
  links: { partner_id: string; referral_code: string; alias: string }[];
}

/** Analyses the real project under a name of its own. */
export async function addSite(name: string): Promise<Site> {
  const { code, stdout, stderr } = await orchestrator('sites', 'add', '--name', name, '--user-ref', `developer of ${name}`, '--path', realProject);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Site;
}

/** A new webhook secret of a partner. Two may be active, so that the older ones are revoked for it. */
export async function newSecret(partner: string): Promise<string> {
  const listed = await orchestrator('secret', 'list', partner);
  expect(listed.code, listed.stderr).toBe(0);
  const active = listed.stdout.split('\n').filter((line) => / webhook .*, active$/.test(line));
  for (const line of active.slice(1)) {
    const revoked = await orchestrator('secret', 'revoke', partner, line.split(' ')[0] ?? '');
    expect(revoked.code, revoked.stderr).toBe(0);
  }
  const { code, stdout, stderr } = await orchestrator('secret', 'new', partner, '--purpose', 'webhook');
  expect(code, stderr).toBe(0);
  return stdout.trim();
}

export interface Message {
  id: string;
  body: string;
  secret: string;
  sentAt?: Date;
}

/** Sends a message, signed by the library of the Standard Webhooks project. */
export async function sendWebhook(partner: string, { id, body, secret, sentAt = new Date() }: Message): Promise<Response> {
  return fetch(`${app.baseUrl}/webhooks/${partner}/events`, {
    method: 'POST',
    body,
    headers: {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(sentAt.getTime() / 1000)),
      'webhook-signature': new Webhook(secret).sign(id, sentAt, body),
    },
  });
}

/** `{ "type": …, "timestamp": now, "data": … }` */
export function event(type: string, data: Record<string, unknown>): string {
  return JSON.stringify({ type, timestamp: new Date().toISOString(), data });
}

/** Somebody else's web site: an origin of its own that answers every path with one page. */
export class OtherSite {
  readonly #server: Server;
  readonly url: string;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.url = `http://127.0.0.1:${port}/`;
  }

  static async serve(html: string, headers: Record<string, string> = {}): Promise<OtherSite> {
    const page = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>A blog</title><meta name="viewport" content="width=device-width">${html}`;
    const server = createServer((request, response) => {
      const found = request.url === '/';
      response.writeHead(found ? 200 : 204, { 'content-type': 'text/html; charset=utf-8', ...headers }).end(found ? page : undefined);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return new OtherSite(server, address.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
