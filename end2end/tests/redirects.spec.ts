// Links as they are followed: a visitor's one cookie, what a click records, who is left alone, and callers that redirect by themselves.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { app, orchestrator, projectDir, sql } from '../support/app.ts';
import { addSite, personsBrowser, type Site } from '../support/product.ts';
import { expect, test } from '../support/test.ts';

/** A session as a cookie or a caller of the API brings it. */
const someSession = '0192b7a0-1234-7abc-8def-0123456789ab';

const linkTo = (site: Site, partner = 'supabase') => site.links.find((link) => link.partner_id === partner)!;

/** Follows a link as a person's browser would. */
function follow(path: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${app.baseUrl}/r/${path}`, { redirect: 'manual', headers: { 'user-agent': personsBrowser, ...headers } });
}

/** These columns of a site's clicks, a line each, the oldest first. */
const clicks = (site: Site, columns: string) => sql(`select ${columns} from clicks where site_id = '${site.site_id}' order by clicked_at`);

/** Well-formed, and nobody's. */
const unknownCode = () => `p4s_${randomBytes(4).toString('hex')}_supabase_${randomBytes(3).toString('hex')}`;

/** What Redis has under a key. Its socket lies beside that of Postgres. */
async function cached(key: string): Promise<string> {
  const { stdout } = await promisify(execFile)('redis-cli', ['-s', join(app.dataDir, 'run/redis.sock'), 'get', key]);
  return stdout.trim();
}

test('a visitor gets one cookie, whose session stands in the click and in the cache, and no second one', async () => {
  const site = await addSite('One cookie');
  const { alias, referral_code } = linkTo(site);
  const cookies = (await follow(alias)).headers.getSetCookie();
  expect(cookies).toHaveLength(1);
  const [cookie = '', ...attributes] = cookies[0]!.split('; ');
  expect(cookie).toMatch(/^p4s_session=[0-9a-f-]{36}$/);
  expect(attributes).toEqual(expect.arrayContaining(['HttpOnly', 'SameSite=Lax', 'Path=/', expect.stringMatching(/^Max-Age=[1-9]\d*$/)]));

  const session = cookie.replace('p4s_session=', '');
  const inCache = async () => JSON.parse(await cached(`attribution:supabase:${referral_code}:${session}`)) as { click_id: string };
  expect(await clicks(site, 'session_id, counted')).toBe(`${session}|t`);
  expect((await inCache()).click_id).toBe(await clicks(site, 'click_id'));

  const again = await follow(alias, { cookie });
  expect([again.status, again.headers.getSetCookie()]).toEqual([302, []]);
  expect(await clicks(site, 'session_id, counted')).toBe(`${session}|t\n${session}|f`);
  expect((await inCache()).click_id, 'the latest').toBe((await clicks(site, 'click_id')).split('\n')[1]);
});

test('a click records its page without the query, its browser, its country and a hash of its address', async () => {
  const site = await addSite('Recorded');
  const { alias, referral_code } = linkTo(site);
  await follow(alias, { referer: 'https://blog.example/post?email=somebody@example.com', 'cf-ipcountry': 'DE' });
  expect(await clicks(site, 'referral_code, partner_id, source_url, agent_class, country, octet_length(ip_hash), counted')).toBe(
    `${referral_code}|supabase|https://blog.example/post|desktop|DE|16|t`,
  );
});

test('under Do Not Track there is no cookie, session or hash of the address, but a click id', async () => {
  const site = await addSite('Not tracked');
  const answer = await follow(linkTo(site).alias, { dnt: '1', cookie: `p4s_session=${someSession}` });
  expect([answer.status, answer.headers.getSetCookie()]).toEqual([302, []]);
  expect(new URL(answer.headers.get('location')!).searchParams.get('click_id')).toMatch(/^[\w-]{40,}$/);
  expect(await clicks(site, 'session_id is null, ip_hash is null, counted')).toBe('t|t|t');
});

test('a link that a browser prefetches claims nothing and does not count', async () => {
  const site = await addSite('Prefetched');
  const answer = await follow(linkTo(site).alias, { purpose: 'prefetch' });
  expect([answer.status, answer.headers.getSetCookie()]).toEqual([302, []]);
  expect(new URL(answer.headers.get('location')!).searchParams.get('click_id')).toBe('');
  expect(await clicks(site, 'agent_class, session_id is null, counted')).toBe('prefetch|t|f');
});

test('parameters that come twice or say nothing keep nobody from being sent on', async () => {
  const site = await addSite('Twice');
  const answer = await follow(`${linkTo(site).alias}?via=x&via=y&rid=1&rid=2`);
  expect([answer.status, new URL(answer.headers.get('location')!).hostname]).toEqual([302, 'supabase.com']);
  expect(await clicks(site, 'counted')).toBe('t');
});

test('a path that is no text leads to the friendly page', async () => {
  const answer = await follow('%FF');
  expect([answer.status, answer.headers.get('content-type')]).toEqual([404, expect.stringContaining('text/html')]);
  expect(await answer.text()).toContain('This link is no longer active');
});

test('an unknown code is no click', async () => {
  const code = unknownCode();
  const answer = await follow(code);
  expect([answer.status, answer.headers.get('location'), answer.headers.getSetCookie()]).toEqual([404, null, []]);
  expect(await sql(`select count(*) from clicks where referral_code = '${code}'`)).toBe('0');
});

test('the links of a partner lead nowhere while it is inactive', async () => {
  // A partner of its own, which is inactive again when the other tests go on.
  const partner = `paused-${Date.now().toString(36)}`;
  const folder = mkdtempSync(join(tmpdir(), 'orchestrator-partner-'));
  const file = readFileSync(join(projectDir, 'partners/supabase.toml'), 'utf8');
  const own = ['id', 'name', 'display_name'].reduce((text, key) => text.replace(new RegExp(`^${key} = .*$`, 'm'), `${key} = "${partner}"`), file);
  writeFileSync(join(folder, `${partner}.toml`), own);
  const activate = (active: boolean) => sql(`update partners set active = ${active} where partner_id = '${partner}'`);
  try {
    const imported = await orchestrator('partners', 'import', folder);
    expect(imported.code, imported.stderr).toBe(0);
    const site = await addSite(`Site of ${partner}`);
    const { alias } = linkTo(site, partner);
    // Processes look at the partners every two seconds.
    const status = async () => (await follow(alias)).status;
    await expect.poll(status).toBe(302);
    await activate(false);
    await expect.poll(status).toBe(404);
    const before = await clicks(site, 'click_id');
    const answer = await follow(alias);
    expect([answer.status, answer.headers.get('location'), answer.headers.getSetCookie()]).toEqual([404, null, []]);
    expect(await clicks(site, 'click_id')).toBe(before);
    expect((await follow(linkTo(site).alias)).status, 'those of others lead on').toBe(302);
    await activate(true);
    await expect.poll(status).toBe(302);
  } finally {
    await activate(false);
  }
});

test.describe('a caller that redirects by itself', () => {
  interface Recorded {
    clickId: string | null;
    sessionId: string | null;
    location: string;
  }

  async function newToken(scope: string): Promise<string> {
    const { code, stdout, stderr } = await orchestrator('token', 'create', `for ${scope}`, '--scope', scope);
    expect(code, stderr).toBe(0);
    return stdout.trim();
  }

  let token: string;
  test.beforeAll(async () => {
    token = await newToken('clicks:write');
  });

  function post(click: Record<string, unknown>, bearer = token): Promise<Response> {
    const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' };
    return fetch(`${app.baseUrl}/api/v1/clicks`, { method: 'POST', headers, body: JSON.stringify(click) });
  }

  async function record(click: Record<string, unknown>): Promise<Recorded> {
    const answer = await post(click);
    expect(answer.status).toBe(201);
    return (await answer.json()) as Recorded;
  }

  test('is told the click, its session, its window and where to send the visitor', async () => {
    const site = await addSite('By a server');
    const { referral_code: referralCode } = linkTo(site);
    const recorded = await record({ referralCode, userAgent: personsBrowser, sourceUrl: 'https://blog.example/post?email=somebody@example.com', ip: '203.0.113.7' });
    const hours = await sql("select attribution_window_hours from partner_terms where partner_id = 'supabase' and effective_from <= now() order by effective_from desc limit 1");
    expect(recorded).toMatchObject({ clickId: expect.stringMatching(/^[\w-]{40,}$/), partnerId: 'supabase', attributionWindowHours: Number(hours) });
    expect(new URL(recorded.location).hostname).toBe('supabase.com');
    expect(new URL(recorded.location).searchParams.get('click_id')).toBe(recorded.clickId);
    expect(await clicks(site, 'referral_code, session_id, source_url, agent_class, octet_length(ip_hash), counted')).toBe(
      `${referralCode}|${recorded.sessionId}|https://blog.example/post|desktop|16|t`,
    );
  });

  test('gets no click id for a bot, which does not count', async () => {
    const site = await addSite('By a server for a bot');
    const recorded = await record({ referralCode: linkTo(site).alias, userAgent: 'Slackbot-LinkExpanding 1.0' });
    expect([recorded.clickId, recorded.sessionId]).toEqual([null, null]);
    expect(new URL(recorded.location).searchParams.get('click_id')).toBe('');
    expect(await clicks(site, 'agent_class, counted')).toBe('bot|f');
  });

  test('gets no session for a visitor who sent Global Privacy Control, and none is kept', async () => {
    const site = await addSite('By a server in private');
    const recorded = await record({ referralCode: linkTo(site).alias, userAgent: personsBrowser, ip: '203.0.113.7', sessionId: someSession, gpc: true });
    expect(recorded).toMatchObject({ clickId: expect.any(String), sessionId: null });
    expect(await clicks(site, 'session_id is null, ip_hash is null, counted')).toBe('t|t|t');
  });

  test('is refused without the scope, and for an unknown code', async () => {
    const site = await addSite('By a stranger');
    const { referral_code: referralCode } = linkTo(site);
    const refused = async (click: Record<string, unknown>, bearer?: string) => {
      const answer = await post(click, bearer);
      return [answer.status, ((await answer.json()) as { code: string }).code];
    };
    expect(await refused({ referralCode }, await newToken('conversions:write'))).toEqual([403, 'forbidden']);
    expect(await refused({ referralCode }, 'p4s_api_guess')).toEqual([401, 'unauthenticated']);
    const unknown = unknownCode();
    expect(await refused({ referralCode: unknown })).toEqual([404, 'not_found']);
    expect(await sql(`select count(*) from clicks where site_id = '${site.site_id}' or referral_code = '${unknown}'`)).toBe('0');
  });
});
