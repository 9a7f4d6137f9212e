// Doors for machines, and above all what they refuse: each refusal names its reason and changes nothing.
import { execFileSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { Webhook } from 'standardwebhooks';
import { app, orchestrator, sql } from '../support/app.ts';
import { addSite, event, newSecret, personsBrowser, realProject, sendWebhook } from '../support/product.ts';
import { expect, expectAccessible, test } from '../support/test.ts';

interface Problem {
  code: string;
  status: number;
  detail?: string;
  field?: string;
}

async function expectProblem(answer: { status: number | (() => number); json(): Promise<unknown> }, expected: Partial<Problem>): Promise<Problem> {
  const problem = (await answer.json()) as Problem;
  const status = typeof answer.status === 'function' ? answer.status() : answer.status;
  expect({ ...problem, http: status }).toMatchObject({ ...expected, http: expected.status });
  return problem;
}

/** Of all that a webhook could change. */
const state = () => sql('select (select count(*) from webhook_deliveries), (select count(*) from conversions), (select count(*) from ledger_transactions)');

test.describe('webhooks', () => {
  let secret: string;
  test.beforeAll(async () => {
    secret = await newSecret('railway');
    // Processes keep secrets for some seconds, also that there was none.
    await expect(async () => expect((await sendWebhook('railway', { id: 'msg_ready', body: event('ping', {}), secret })).status).toBe(200)).toPass();
    await expect.poll(() => sql("select count(*) from webhook_deliveries where state = 'received'")).toBe('0');
  });
  const body = () => event('conversion.created', { conversion_id: 'inv_refused', occurred_at: new Date().toISOString(), amount: '10.00', currency: 'USD' });

  test('a forged, a stale, a changed, an unsigned and an oversized webhook are refused by name and leave no trace', async () => {
    const before = await state();
    const forged = await sendWebhook('railway', { id: 'msg_1', body: body(), secret: 'whsec_' + Buffer.alloc(24, 7).toString('base64') });
    await expectProblem(forged, { status: 401, code: 'invalid_signature', detail: 'no signature matches' });

    const stale = await sendWebhook('railway', { id: 'msg_2', body: body(), secret, sentAt: new Date(Date.now() - 301_000) });
    expect((await expectProblem(stale, { status: 401, code: 'invalid_signature' })).detail).toContain('more than 300 s');
    const ahead = await sendWebhook('railway', { id: 'msg_3', body: body(), secret, sentAt: new Date(Date.now() + 310_000) });
    expect((await expectProblem(ahead, { status: 401, code: 'invalid_signature' })).detail).toContain('in the future');

    const [now, whole] = [new Date(), body()];
    const headers = {
      'webhook-id': 'msg_4',
      'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
      'webhook-signature': new Webhook(secret).sign('msg_4', now, whole),
    };
    const post = (path: string, sent: { body: string; headers?: Record<string, string> }) => fetch(`${app.baseUrl}/webhooks/${path}`, { method: 'POST', ...sent });
    await expectProblem(await post('railway/events', { body: whole.slice(0, -1), headers }), { status: 401, code: 'invalid_signature' });
    await expectProblem(await post('railway/events', { body: whole }), { status: 401, detail: 'header `webhook-id` is missing' });
    await expectProblem(await post('railway/events', { body: 'x'.repeat((1 << 20) + 1), headers }), { status: 413, code: 'too_large' });
    await expectProblem(await post('nobody/events', { body: whole, headers }), { status: 404, code: 'not_found' });
    await expectProblem(await post('railway/nothing', { body: whole, headers }), { status: 404, code: 'not_found' });
    expect(await state()).toBe(before);
  });

  test('a signed body that is no event is refused, and one with a wrong field is kept with the reason', async () => {
    const before = await state();
    await expectProblem(await sendWebhook('railway', { id: 'msg_5', body: '{"type":', secret }), { status: 400, code: 'malformed' });
    await expectProblem(await sendWebhook('railway', { id: 'msg_6', body: '{"data":{}}', secret }), { status: 400, code: 'malformed', field: 'type' });
    expect(await state()).toBe(before);

    const wrong = event('conversion.created', { conversion_id: 'inv_wrong', occurred_at: 'yesterday', amount: '10.00', currency: 'USD' });
    expect((await sendWebhook('railway', { id: 'msg_wrong', body: wrong, secret })).status).toBe(200);
    await expect.poll(() => sql("select state, last_error from webhook_deliveries where message_id = 'msg_wrong'")).toContain('dead|');
    expect(await sql("select last_error from webhook_deliveries where message_id = 'msg_wrong'")).toContain('data.occurred_at');
    expect(await sql("select count(*) from conversions where external_event_id = 'inv_wrong'")).toBe('0');
  });

  test('a click id that we never made earns nothing and says why', async () => {
    const sent = event('conversion.created', { conversion_id: 'inv_forged', occurred_at: new Date().toISOString(), amount: '10.00', currency: 'USD', click_id: 'A'.repeat(70) });
    expect((await sendWebhook('railway', { id: 'msg_forged', body: sent, secret })).status).toBe(200);
    await expect.poll(() => sql("select state from conversions where external_event_id = 'inv_forged'")).toBe('refused');
    expect(await sql("select count(*) from commissions join conversions using (conversion_id) where external_event_id = 'inv_forged'")).toBe('0');
  });

  test('a test event is answered and has no effect', async () => {
    const conversions = await sql('select count(*) from conversions');
    const sent = event('conversion.created', { conversion_id: 'inv_test', occurred_at: new Date().toISOString(), amount: '10.00', currency: 'USD', is_test: true });
    expect((await sendWebhook('railway', { id: 'msg_test', body: sent, secret })).status).toBe(200);
    await expect.poll(() => sql("select state from webhook_deliveries where message_id = 'msg_test'")).toBe('ignored');
    expect(await sql('select count(*) from conversions')).toBe(conversions);
  });
});

test.describe('links', () => {
  test.use({ userAgent: personsBrowser });

  test('an unknown code leads to a friendly page and never to an address from the request', async ({ page, request, pageErrors }) => {
    for (const code of ['zzzzzzzz', 'p4s_0123abcd_supabase_012345', 'https:%2F%2Fevil.example', '%00']) {
      const answer = await request.get(`/r/${code}?url=https://evil.example&to=https://evil.example`, { maxRedirects: 0 });
      expect([code, answer.status(), answer.headers().location]).toEqual([code, 404, undefined]);
    }
    await page.goto('/r/zzzzzzzz');
    await expect(page.getByRole('heading', { name: 'This link is no longer active' })).toBeVisible();
    await expectAccessible(page);
    pageErrors.length = 0;
  });

  test('HEAD requests, prefetches and robots are sent on but claim nothing and do not count', async ({ request }) => {
    const { site_id, links } = await addSite('Robots');
    const link = `/r/${links.find((link) => link.partner_id === 'supabase')!.alias}`;
    const visits = [
      await request.head(link, { maxRedirects: 0 }),
      await request.get(link, { maxRedirects: 0, headers: { 'sec-purpose': 'prefetch' } }),
      await request.get(link, { maxRedirects: 0, headers: { 'user-agent': 'Slackbot-LinkExpanding 1.0' } }),
    ];
    for (const visit of visits) {
      expect(visit.status()).toBe(302);
      expect(new URL(visit.headers().location!).searchParams.get('click_id')).toBe('');
      expect(visit.headers()['set-cookie']).toBeUndefined();
    }
    expect(await sql(`select count(*) filter (where counted), count(*) from clicks where site_id = '${site_id}'`)).toBe('0|3');
  });

  test('who does not want to be tracked gets no cookie and no session', async ({ request }) => {
    const { site_id, links } = await addSite('Private');
    const answer = await request.get(`/r/${links[0]!.alias}`, { maxRedirects: 0, headers: { 'sec-gpc': '1' } });
    expect(answer.status()).toBe(302);
    expect(answer.headers()['set-cookie']).toBeUndefined();
    expect(await sql(`select session_id is null, ip_hash is null from clicks where site_id = '${site_id}'`)).toBe('t|t');
  });
});

/** A tar entry: header and padded content. */
function tarEntry(name: string, content: Buffer | string, type = '0', target = ''): Buffer {
  const bytes = Buffer.from(content);
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write('0000644\0', 100);
  header.write('0000000\0'.repeat(2), 108);
  header.write(bytes.length.toString(8).padStart(11, '0') + '\0', 124);
  header.write('00000000000\0', 136);
  header.write('        ', 148);
  header.write(type, 156);
  header.write(target, 157);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((sum, byte) => sum + byte, 0);
  header.write(sum.toString(8).padStart(6, '0') + '\0 ', 148);
  return Buffer.concat([header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

const tarGz = (...entries: Buffer[]) => gzipSync(Buffer.concat([...entries, Buffer.alloc(1024)]));
const manifest = tarEntry('package.json', '{"name":"x","dependencies":{"express":"4"}}');

test.describe('sites', () => {
  let token: string;
  test.beforeAll(async () => {
    const { code, stdout, stderr } = await orchestrator('token', 'create', 'site generator', '--scope', 'sites:write');
    expect(code, stderr).toBe(0);
    token = stdout.trim();
  });

  function upload(archive: Buffer | undefined, fields: Record<string, string> = { name: 'Uploaded', user_ref: 'u1' }, bearer: string | undefined = token, more: Record<string, string> = {}): Promise<Response> {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.set(name, value);
    if (archive !== undefined) form.set('archive', new Blob([new Uint8Array(archive)]), 'project.tar.gz');
    return fetch(`${app.baseUrl}/api/v1/sites`, { method: 'POST', body: form, headers: bearer === '' ? {} : { authorization: `Bearer ${bearer}`, ...more } });
  }

  test('an uploaded project becomes a site with its analysis, codes, embed line and offers', async () => {
    const answer = await upload(execFileSync('tar', ['-cz', '-C', realProject, '.']), { name: 'Uploaded', user_ref: 'u1', url: 'https://shop.example' });
    expect(answer.status).toBe(201);
    const site = (await answer.json()) as { siteId: string; analysis: { data_access: { name: string }[] }; referralCodes: { partnerId: string; code: string; url: string }[]; embed: string };
    expect(site.analysis.data_access.map((found) => found.name)).toContain('Prisma');
    expect(site.referralCodes.map((code) => code.partnerId)).toEqual(['figma', 'railway', 'supabase']);
    expect(site.referralCodes[2]!.code).toMatch(/^p4s_[0-9a-f]{8}_supabase_[0-9a-f]{6}$/);
    expect(site.embed).toBe(`<script src="${app.baseUrl}/widget.js" data-site="${site.siteId}" async></script>`);

    const authorization = { authorization: `Bearer ${token}` };
    expect(await (await fetch(`${app.baseUrl}/api/v1/sites/${site.siteId}`, { headers: authorization })).json()).toMatchObject({ siteId: site.siteId, url: 'https://shop.example' });
    const offers = async (headers: Record<string, string>) => {
      const found = await fetch(`${app.baseUrl}/api/v1/sites/${site.siteId}/recommendations`, { headers: { origin: 'https://shop.example', ...headers } });
      expect(found.headers.get('access-control-allow-origin')).toBe('*');
      expect(found.headers.get('set-cookie')).toBeNull();
      return ((await found.json()) as { offers: Record<string, unknown>[] }).offers;
    };
    const [forAll, forUs] = [await offers({}), await offers(authorization)];
    expect(forUs.length).toBe(3);
    expect(forAll, 'only what fits is public').toHaveLength(forUs.filter((offer) => offer.downRanked === null).length);
    expect(forAll.length).toBeGreaterThan(0);
    for (const ours of ['score', 'expectedRevenue', 'conversionProbability']) {
      for (const offer of forAll) expect(offer, 'what we expect to earn is not public').not.toHaveProperty(ours);
    }
    expect(forUs[0]).toMatchObject({ score: expect.any(Number), expectedRevenue: { currency: 'USD' }, conversionProbability: { low: expect.any(Number), high: expect.any(Number) } });
  });

  test('an upload that is sent again under its key makes no second site', async () => {
    const fields = { name: `Sent twice ${Date.now()}`, user_ref: 'u1' };
    const key = `upload ${Date.now()}`;
    const send = (archive: Buffer) => upload(archive, fields, token, { 'idempotency-key': key });
    const [first, again] = [await send(tarGz(manifest)), await send(tarGz(manifest))];
    expect([first.status, first.headers.get('idempotent-replayed'), again.status, again.headers.get('idempotent-replayed')]).toEqual([201, null, 201, 'true']);
    expect(await again.json()).toEqual(await first.json());
    expect(await sql(`select count(*) from sites where name = '${fields.name}'`)).toBe('1');
    await expectProblem(await send(tarGz(manifest, tarEntry('more.js', '1'))), { status: 409, code: 'conflict' });
  });

  test('a site is analysed again, corrected and retired, and keeps its id and codes', async () => {
    const made = (await (await upload(tarGz(manifest))).json()) as { siteId: string; referralCodes: unknown; analysis: { kind: string } };
    const headers = { authorization: `Bearer ${token}` };
    const site = `${app.baseUrl}/api/v1/sites/${made.siteId}`;
    const form = new FormData();
    form.set('archive', new Blob([new Uint8Array(execFileSync('tar', ['-cz', '-C', realProject, '.']))]), 'project.tar.gz');
    const again = await fetch(`${site}/analysis`, { method: 'PUT', body: form, headers });
    expect(again.status).toBe(200);
    const analysed = await again.json();
    expect(analysed).toMatchObject({ siteId: made.siteId, referralCodes: made.referralCodes });
    expect(JSON.stringify(analysed.analysis)).toContain('Prisma');
    expect(analysed.analysis.kind).not.toBe(made.analysis.kind);

    const change = (body: unknown, who: Record<string, string> = headers) =>
      fetch(site, { method: 'PATCH', body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...who } });
    expect(await (await change({ name: 'Renamed', url: 'https://new.example' })).json()).toMatchObject({ name: 'Renamed', url: 'https://new.example', archivedAt: null });
    await expectProblem(await change({ nam: 'Typo' }), { status: 422, field: 'nam' });
    await expectProblem(await change({ url: 'javascript:alert(1)' }), { status: 422, field: 'url' });
    expect((await change({ archived: true }, {})).status).toBe(401);
    const nowhere = `${app.baseUrl}/api/v1/sites/shop`;
    const missing = { status: 404, code: 'not_found', detail: 'site `shop` was not found' };
    await expectProblem(await fetch(nowhere, { headers }), missing);
    await expectProblem(await fetch(nowhere, { method: 'PATCH', body: '{}', headers }), missing);
    await expectProblem(await fetch(`${nowhere}/analysis`, { method: 'PUT', body: form, headers }), missing);
    expect((await fetch(`${site}/analysis`, { method: 'PUT', body: form })).status).toBe(401);

    expect((await fetch(`${site}/recommendations`)).status).toBe(200);
    expect(await (await change({ archived: true })).json()).toMatchObject({ archivedAt: expect.any(String) });
    expect((await fetch(`${site}/recommendations`)).status).toBe(409);
    expect((await fetch(`${app.baseUrl}/embed/${made.siteId}`)).status).toBe(404);
    await change({ archived: false });
    expect((await fetch(`${site}/recommendations`)).status).toBe(200);
  });

  test('hostile and broken archives are refused with the entry, and no site is made', async () => {
    const before = await sql('select count(*) from sites');
    const refusals: [string, Buffer, string][] = [
      ['path traversal', tarGz(manifest, tarEntry('../../etc/cron.d/evil', 'x')), '`../../etc/cron.d/evil` leaves its folder'],
      ['an absolute path', tarGz(manifest, tarEntry('/etc/passwd', 'x')), '`/etc/passwd` has an absolute path'],
      ['a symbolic link', tarGz(manifest, tarEntry('secrets', '', '2', '/etc/shadow')), '`secrets` is a symbolic or hard link'],
      ['a device', tarGz(manifest, tarEntry('null', '', '3')), '`null` is a device'],
      ['a bomb', tarGz(manifest, tarEntry('zeros.txt', Buffer.alloc(64 << 20))), 'times its packed size'],
      ['a cut archive', tarGz(manifest, tarEntry('a.js', 'a'.repeat(5000))).subarray(0, 90), 'damaged or cut off'],
      ['no archive', Buffer.from('hello'), 'no zip, tar or tar.gz archive'],
    ];
    for (const [kind, archive, reason] of refusals) {
      const problem = await expectProblem(await upload(archive), { status: 422, code: 'invalid', field: 'archive' });
      expect(problem.detail, kind).toContain(reason);
    }
    expect(await sql('select count(*) from sites')).toBe(before);
  });

  test('missing and wrong fields are named', async () => {
    const archive = tarGz(manifest);
    await expectProblem(await upload(archive, { user_ref: 'u' }), { status: 422, field: 'name' });
    await expectProblem(await upload(archive, { name: 'x' }), { status: 422, field: 'user_ref' });
    await expectProblem(await upload(undefined), { status: 422, field: 'archive' });
    await expectProblem(await upload(archive, { name: 'x', user_ref: 'u', url: 'javascript:alert(1)' }), { status: 422, field: 'url' });
  });

  test('nobody adds or reads sites without the right token', async () => {
    const archive = tarGz(manifest);
    await expectProblem(await upload(archive, undefined, ''), { status: 401, code: 'unauthenticated' });
    await expectProblem(await upload(archive, undefined, 'p4s_api_guess'), { status: 401, code: 'unauthenticated' });
    const { stdout } = await orchestrator('token', 'create', 'clicks only', '--scope', 'clicks:write');
    await expectProblem(await upload(archive, undefined, stdout.trim()), { status: 403, code: 'forbidden' });
    const { site_id } = await addSite('Secret');
    expect((await fetch(`${app.baseUrl}/api/v1/sites/${site_id}`)).status).toBe(401);
  });
});

test.describe('impressions', () => {
  const report = (body: string, agent = personsBrowser) =>
    fetch(`${app.baseUrl}/api/v1/impressions`, { method: 'POST', body, headers: { 'content-type': 'text/plain', origin: 'https://blog.example', 'user-agent': agent } });

  test('an offer counts once however often it is reported, and what was never recommended does not count', async () => {
    const { site_id } = await addSite('Seen');
    const { recommendationId } = (await (await fetch(`${app.baseUrl}/api/v1/sites/${site_id}/recommendations`)).json()) as { recommendationId: string };
    const seen = () => sql(`select count(*) from impressions where site_id = '${site_id}'`);
    const crawler = 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)';
    expect((await report(JSON.stringify({ recommendationId, partnerIds: ['supabase'] }), crawler)).status).toBe(204);
    expect(await seen(), 'a crawler that runs scripts').toBe('0');
    for (let time = 0; time < 3; time++) {
      const answer = await report(JSON.stringify({ recommendationId, partnerIds: ['supabase', 'nobody', 'railway'] }));
      expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([204, '*']);
    }
    expect(await seen()).toBe('2');
    expect((await report(JSON.stringify({ recommendationId, partnerIds: ['nobody'] }))).status).toBe(204);
    expect((await report(JSON.stringify({ recommendationId: '00000000-0000-7000-8000-000000000000', partnerIds: ['figma'] }))).status).toBe(204);
    expect(await seen()).toBe('2');
  });

  test('garbage and large bodies are refused', async () => {
    expect((await report('hello')).status).toBe(400);
    expect((await report('{"recommendationId":"x","partnerIds":[]}')).status).toBe(400);
    await expectProblem(await report('x'.repeat(5000)), { status: 413, code: 'too_large' });
  });
});
