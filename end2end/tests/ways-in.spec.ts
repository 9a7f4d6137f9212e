// The ways in besides webhooks: the API, postbacks, CSV files and exchange rates. Whatever way an event comes by, it counts once.
import { app, orchestrator, sql } from '../support/app.ts';
import { addSite, personsBrowser, signIn, type Site } from '../support/product.ts';
import { expect, expectAccessible, open, test, type Page } from '../support/test.ts';

const run = Date.now().toString(36);
let token: string;
let site: Site;

test.beforeAll(async () => {
  const made = await orchestrator('token', 'create', 'billing', '--scope', 'conversions:write');
  expect(made.code, made.stderr).toBe(0);
  token = made.stdout.trim();
  site = await addSite(`Ways in ${run}`);
});

/** The click id that a person carries to Supabase. */
async function click(): Promise<string> {
  const alias = site.links.find((link) => link.partner_id === 'supabase')!.alias;
  const answer = await fetch(`${app.baseUrl}/r/${alias}`, { redirect: 'manual', headers: { 'user-agent': personsBrowser } });
  expect(answer.status).toBe(302);
  return new URL(answer.headers.get('location')!).searchParams.get('click_id')!;
}

function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${app.baseUrl}/api/v1/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

const sale = (id: string, clickId: string, amount = '49.00', currency = 'USD') => ({
  partner: 'supabase',
  external_event_id: id,
  type: 'sale',
  occurred_at: new Date().toISOString(),
  amount,
  currency,
  click_id: clickId,
});

test.describe('the API', () => {
  test('books before it answers, and the same request again gets the same answer', async () => {
    const body = sale(`api_${run}`, await click());
    const key = { 'idempotency-key': `key ${run}` };
    const answers = await Promise.all(Array.from({ length: 8 }, () => post('conversions', body, key)));
    const told = await Promise.all(answers.map(async (answer) => ({ status: answer.status, replayed: answer.headers.get('idempotent-replayed'), json: await answer.json() })));
    expect(told.filter(({ replayed }) => replayed === null)).toHaveLength(1);
    expect(told.map(({ status }) => status)).toEqual(Array(8).fill(201));
    for (const { json } of told) expect(json).toEqual(told[0]!.json);
    expect(told[0]!.json).toMatchObject({ conversion_id: `api_${run}`, state: 'attributed', commission: { amount: '9.80', state: 'pending' }, duplicate: false });
    expect(await sql(`select count(*) from conversions where external_event_id = 'api_${run}'`)).toBe('1');

    const other = await post('conversions', { ...body, amount: '50.00' }, key);
    expect({ status: other.status, type: other.headers.get('content-type'), ...(await other.json()) }).toMatchObject({
      status: 409,
      type: 'application/problem+json',
      code: 'conflict',
      detail: `\`key ${run}\` was sent before with another body: \`amount\` was "49.00"`,
    });
    expect((await post('conversions', body)).status, 'the same event under another key').toBe(200);

    const refund = { partner: 'supabase', external_event_id: `re_${run}`, conversion_id: `api_${run}`, occurred_at: new Date().toISOString(), amount: '24.50', currency: 'USD' };
    const reversed = await post('reversals', refund);
    expect({ status: reversed.status, ...(await reversed.json()) }).toMatchObject({ status: 201, state: 'applied', applied: '24.50', commission: { amount: '4.90' } });
  });

  test('names what is wrong, and nothing of it stays', async () => {
    const before = await sql('select count(*) from webhook_deliveries');
    const good = sale(`api_wrong_${run}`, 'A'.repeat(70));
    const refused = async (body: unknown, headers: Record<string, string> = {}) => {
      const answer = await post('conversions', body, headers);
      const problem = (await answer.json()) as { code: string; field?: string };
      return [answer.status, problem.code, problem.field];
    };
    expect(await refused({ ...good, amount: 49 })).toEqual([422, 'invalid', 'amount']);
    expect(await refused({ ...good, currency: 'usd' })).toEqual([422, 'invalid', 'currency']);
    expect(await refused({ ...good, partner: 'nobody' })).toEqual([422, 'invalid', 'partner']);
    expect(await refused({ ...good, clik_id: 'x' })).toEqual([422, 'invalid', 'clik_id']);
    expect(await refused({ ...good, occurred_at: '2999-01-01T00:00:00Z' })).toEqual([422, 'invalid', 'occurred_at']);
    expect(await refused('[]')).toEqual([400, 'malformed', undefined]);
    expect(await refused('x'.repeat(70_000))).toEqual([413, 'too_large', undefined]);
    expect(await refused(good, { 'idempotency-key': '' })).toEqual([422, 'invalid', 'Idempotency-Key']);
    expect(await refused(good, { authorization: 'Bearer nonsense' })).toEqual([401, 'unauthenticated', undefined]);
    const anonymous = await fetch(`${app.baseUrl}/api/v1/conversions`, { method: 'POST', body: JSON.stringify(good) });
    expect(anonymous.status).toBe(401);
    const { stdout } = await orchestrator('token', 'create', 'clicks only', '--scope', 'clicks:write');
    expect(await refused(good, { authorization: `Bearer ${stdout.trim()}` })).toEqual([403, 'forbidden', undefined]);
    expect(await sql('select count(*) from webhook_deliveries')).toBe(before);
  });
});

test('a postback converts once, in JSON or as a pixel, and never by a HEAD or a prefetch', async () => {
  const made = await orchestrator('secret', 'new', 'supabase', '--purpose', 'postback');
  expect(made.code, made.stderr).toBe(0);
  const query = (parameters: Record<string, string>) => `${app.baseUrl}/postback/supabase?${new URLSearchParams({ token: made.stdout.trim(), ...parameters })}`;
  const good = { click_id: await click(), txid: `pb_${run}`, amount: '20.00', currency: 'USD' };
  const conversions = () => sql(`select count(*) from conversions where external_event_id = 'pb_${run}'`);
  // Processes keep secrets for some seconds, also that there was none.
  await expect(async () => expect((await fetch(query({ ...good, txid: `first_${run}` }))).status).toBe(200)).toPass();

  expect((await fetch(query(good), { method: 'HEAD' })).status).toBe(200);
  expect((await fetch(query(good), { headers: { 'sec-purpose': 'prefetch' } })).status).toBe(204);
  expect((await fetch(query(good), { method: 'PUT' })).status).toBe(405);
  const wrong = async (parameters: Record<string, string>) => {
    const answer = await fetch(query({ ...good, ...parameters }));
    return [answer.status, ((await answer.json()) as { field: string }).field];
  };
  expect(await wrong({ amount: '{amount}' })).toEqual([422, 'amount']);
  expect(await wrong({ amount: '9,50' })).toEqual([422, 'amount']);
  expect(await wrong({ type: 'gift' })).toEqual([422, 'type']);
  expect(await wrong({ token: 'wrong' })).toEqual([401, 'token']);
  expect(await conversions()).toBe('0');

  const pixel = await fetch(query({ ...good, format: 'gif' }));
  expect([pixel.status, pixel.headers.get('content-type'), (await pixel.arrayBuffer()).byteLength]).toEqual([200, 'image/gif', 43]);
  const again = await fetch(query({}), { method: 'POST', body: new URLSearchParams(good) });
  expect(await again.json()).toMatchObject({ duplicate: true });
  expect((await fetch(query({ ...good, amount: '30.00' }))).status).toBe(409);
  await expect.poll(conversions).toBe('1');
  expect((await fetch(query({ txid: `pb_${run}`, type: 'refund' }))).status).toBe(200);
  await expect.poll(() => sql(`select reversed_minor from conversions where external_event_id = 'pb_${run}'`)).toBe('2000');
});

const upload = async (page: Page, label: string, name: string, text: string, button: string) => {
  await page.getByLabel(label).setInputFiles({ name, mimeType: 'text/csv', buffer: Buffer.from(text) });
  await page.getByRole('button', { name: button }).click();
};

test('a CSV file is mapped, tried out, imported, and has no second effect', async ({ page }) => {
  const clickId = await click();
  const at = new Date(Date.now() + 1000).toISOString().replace(/\.\d+/, '');
  const row = (id: string, amount: string) => `${id},${at},${amount},${clickId}`;
  const file = ['order number;when;how much;click'.replaceAll(';', ','), row(`csv_1_${run}`, '49.00'), row(`csv_2_${run}`, '10.00'), row(`csv_1_${run}`, '49.00'), row(`csv_3_${run}`, 'abc')].join('\n');
  await signIn(page);
  await open(page, '/imports');
  await expectAccessible(page);
  await page.getByLabel('Partner').selectOption('supabase');
  await upload(page, 'CSV file', 'november.csv', file, 'Upload and look at it');
  await expect(page).toHaveURL(/\/imports\/[0-9a-f-]{36}$/);
  await expect(page.getByText('The file cannot be read like this yet')).toBeVisible();
  await expect(page.getByRole('table', { name: 'First rows of the file' }).getByRole('row')).toHaveCount(5);
  await expectAccessible(page);

  await page.getByLabel('Id', { exact: true }).selectOption('order number');
  await page.getByLabel('Time', { exact: true }).selectOption('when');
  await page.getByLabel('Click id', { exact: true }).selectOption('click');
  await page.getByLabel('Amount', { exact: true }).selectOption('how much');
  await page.getByRole('button', { name: 'Save the mapping' }).click();
  await expect(page.getByText('expected one or a fixed currency')).toBeVisible();
  await expect(page.getByLabel('Amount', { exact: true }), 'what was chosen is still there').toHaveValue('how much');
  await page.getByLabel('Currency, if no column says it').fill('USD');
  await page.getByRole('button', { name: 'Save the mapping' }).click();
  await expect(page.getByText('The mapping is saved.')).toBeVisible();
  await expect(page.getByRole('region', { name: 'Problems' })).toContainText('abc');

  await page.getByRole('link', { name: 'Dry run' }).click();
  await expect(page.getByText('2 rows are new, 1 are there already, 1 are wrong.')).toBeVisible();
  await expectAccessible(page);
  expect(await sql(`select count(*) from webhook_deliveries where message_id like 'csv_%' and convert_from(body, 'UTF8') like '%${run}%'`)).toBe('0');

  await page.getByRole('button', { name: 'Import' }).click();
  await expect(page.getByText('4 of 4 rows looked at. Every event was worked off.')).toBeVisible();
  await expectAccessible(page);
  expect(await sql(`select count(*), sum(value_minor) from conversions where source = 'csv' and external_event_id like 'csv_%_${run}' and state = 'attributed'`)).toBe('2|5900');
  const errors = await page.request.get(`${new URL(page.url()).pathname}/errors.csv`);
  expect(await errors.text()).toBe('line,column,value,expected\r\n5,how much,abc,an amount such as 1234.56\r\n');

  await open(page, '/imports');
  await page.getByLabel('Partner').selectOption('supabase');
  await upload(page, 'CSV file', 'again.csv', file, 'Upload and look at it');
  await expect(page.getByRole('heading', { level: 1, name: 'november.csv' }), 'the same file is the same import').toBeVisible();
  await open(page, '/imports');
  await upload(page, 'CSV file', 'empty.csv', 'id,amount\n', 'Upload and look at it');
  await expect(page.getByText('The file was not taken.')).toBeVisible();
});

test('a conversion without a rate waits, says so, and is rated by the rates that are uploaded', async ({ page }) => {
  const held = await post('conversions', sale(`isk_${run}`, await click(), '14000', 'ISK'));
  expect(await held.json()).toMatchObject({ state: 'held', commission: null, reason: expect.stringContaining('no exchange rate from ISK to USD') });
  await signIn(page);
  await open(page, '/exchange-rates');
  const waiting = page.locator('#waiting-for-rates');
  await expect(waiting).toContainText(`isk_${run}`);
  await expect(waiting).toContainText('no exchange rate from ISK to USD');
  await expectAccessible(page);

  const day = new Date(Date.now() - 3 * 86_400_000).toISOString().slice(0, 10);
  await upload(page, 'CSV file of the ECB', 'eurofxref.csv', `Date,USD,ISK,CYP\n${day},1.1000,140.00,N/A\n`, 'Import rates');
  await expect(page.getByText('2 rates added, 0 were there already')).toBeVisible();
  await expect(page.getByText('Left out, as no currency of today: CYP.')).toBeVisible();
  await expect(waiting).not.toContainText(`isk_${run}`);
  await expect(page.getByRole('table', { name: 'The newest rate of each currency' })).toContainText('ISK');
  // ISK 14000 × 1.1 ÷ 140 × 20 %
  await expect.poll(() => sql(`select final_minor, c.currency from commissions c join conversions using (conversion_id) where external_event_id = 'isk_${run}'`)).toBe('2200|USD');

  await upload(page, 'CSV file of the ECB', 'eurofxref.csv', `Date,USD\n${day},1.2000\n`, 'Import rates');
  await expect(page.locator('.notice__text', { hasText: 'a rate that is in use never changes' })).toBeVisible();
  expect((await orchestrator('ledger', 'verify')).code).toBe(0);
});

for (const [device, width, height] of [
  ['desktop', 1440, 900],
  ['phone', 390, 844],
] as const) {
  test(`on a ${device}, the pages have one heading and do not scroll sideways`, async ({ page }) => {
    await page.setViewportSize({ width, height });
    await signIn(page);
    const id = await sql('select import_id from imports limit 1');
    for (const path of ['/imports', `/imports/${id}?remap=1`, '/exchange-rates']) {
      await open(page, path);
      await expect(page.getByRole('heading', { level: 1 }), path).toHaveCount(1);
      await expectAccessible(page);
      expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(width);
    }
  });
}

test('an import that is not there says so', async ({ page, pageErrors }) => {
  await signIn(page);
  await open(page, '/imports/nonsense');
  await expect(page.getByText('Import `nonsense` was not found.')).toBeVisible();
  pageErrors.length = 0;
});
