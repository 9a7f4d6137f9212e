// Conversions: found, filtered and exported; one explained to the cent; attributed by hand; and another policy tried without a trace.
import { readFileSync } from 'node:fs';
import { sql } from '../support/app.ts';
import { addSite, event, newSecret, personsBrowser, sendWebhook, signIn, type Site } from '../support/product.ts';
import { expect, expectAccessible, open, test, type Page } from '../support/test.ts';

test.use({ userAgent: personsBrowser });

/** Unique to this run, so that a search finds nothing else. */
const run = Date.now();
const year = new Date().getUTCFullYear();

async function convert(secret: string, order: string, amount: string, claim: Record<string, string>): Promise<string> {
  const body = event('conversion.created', { conversion_id: order, occurred_at: new Date().toISOString(), amount, currency: 'USD', ...claim });
  expect((await sendWebhook('supabase', { id: `msg_${order}`, body, secret })).status).toBe(200);
  const find = () => sql(`select conversion_id from conversions where external_event_id = '${order}'`);
  await expect.poll(find).not.toBe('');
  return find();
}

/** Follows a site's link as a visitor would, and gives the click id that the partner gets. */
async function click(page: Page, site: Site): Promise<string> {
  const alias = site.links.find((link) => link.partner_id === 'supabase')?.alias ?? '';
  const answer = await page.request.get(`/r/${alias}`, { maxRedirects: 0 });
  expect(answer.status()).toBe(302);
  return new URL(answer.headers().location ?? '').searchParams.get('click_id') ?? '';
}

const rows = (page: Page) => page.getByRole('table', { name: 'Conversions', exact: true }).getByRole('row');

test('conversions are searched, filtered, sorted and exported, and the address holds it all', async ({ page }) => {
  const site = await addSite(`List of ${run}`);
  const secret = await newSecret('supabase');
  await signIn(page);
  const claim = { click_id: await click(page, site) };
  await convert(secret, `list_${run}_small`, '10.00', claim);
  await convert(secret, `list_${run}_large`, '90.00', claim);
  await convert(secret, `list_${run}_nobody`, '50.00', { user_id: `nobody_${run}`, session_id: '0192b7a0-0000-7000-8000-000000000001' });

  await open(page, '/conversions');
  await expectAccessible(page);
  await page.getByLabel('Search').fill(`LIST_${run}`);
  await page.getByLabel('Order').selectOption('Largest value');
  await page.getByRole('button', { name: 'Show' }).click();
  await expect(page).toHaveURL(new RegExp(`search=LIST_${run}.*sort=value`));
  await expect(rows(page)).toHaveCount(4);
  await expect(rows(page).nth(1)).toContainText('$90.00');
  await expect(rows(page).nth(1)).toContainText('$18.00');
  await expect(rows(page).nth(3)).toContainText('$10.00');

  const file = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Export CSV' }).click();
  const lines = readFileSync(await (await file).path(), 'utf8').trim().split('\r\n');
  expect(lines).toHaveLength(4);
  expect(lines[1]).toContain(`list_${run}_large`);
  expect(lines[1]).toMatch(/,18\.00,USD,pending$/);

  await page.getByLabel('State').selectOption('Unattributed');
  await page.getByRole('button', { name: 'Show' }).click();
  await expect(rows(page)).toHaveCount(2);
  await expect(rows(page).nth(1)).toContainText(`list_${run}_nobody`);
  await page.getByLabel('State').selectOption('Refused');
  await page.getByRole('button', { name: 'Show' }).click();
  await expect(page.getByText('No conversion fits')).toBeVisible();
  await page.getByRole('link', { name: 'Clear' }).click();
  await expect(page).toHaveURL(/\/conversions$/);
});

test('an address that asks for nonsense says what is wrong, and a file is for those who are signed in', async ({ page, pageErrors }) => {
  expect((await page.request.get('/conversions.csv')).status()).toBe(401);
  await signIn(page);
  for (const [query, words] of [
    ['state=lost', 'is no state of a conversion'],
    ['from=yesterday', 'is no day such as'],
    ['after=7', 'is no place in the list'],
  ] as const) {
    await open(page, `/conversions?${query}`);
    await expect(page.getByRole('alert')).toContainText(words);
    expect((await page.request.get(`/conversions.csv?${query}`)).status()).toBe(422);
  }
  await open(page, '/conversions/0192b7a0-0000-7000-8000-000000000001');
  await expect(page.getByRole('alert')).toContainText('was not found');
  pageErrors.length = 0;
});

test('a conversion explains itself: journey, receipt, ledger and the message that it came with', async ({ page }) => {
  const site = await addSite(`Detail of ${run}`);
  const secret = await newSecret('supabase');
  await signIn(page);
  const order = `detail_${run}`;
  const id = await convert(secret, order, '49.00', { click_id: await click(page, site) });
  await open(page, `/conversions?search=${order}`);
  await page.getByRole('link', { name: order }).click();
  await expect(page).toHaveURL(`/conversions/${id}`);
  await expect(page.getByRole('heading', { level: 1, name: `Sale ${order}` })).toBeVisible();
  await expect(page.getByText('It earns $9.80.')).toBeVisible();

  const journey = page.getByRole('list', { name: 'Clicks that share in the credit' });
  await expect(journey).toContainText(`Detail of ${run}`);
  await expect(journey).toContainText('100 % of the credit, $9.80 of the commission');
  await expect(page.getByRole('list', { name: 'The arithmetic, step by step' })).toContainText('base = $49.00 × 0.2 = 9.8 USD');
  const entries = page.getByRole('table', { name: 'Ledger entries of this conversion' });
  await expect(entries).toContainText('Receivable from the partner');
  await expect(entries.getByRole('row').nth(1)).toContainText(/USD no\. \d/);
  await expect(page.getByRole('region', { name: 'JSON, indented' })).toContainText(order);
  await expect(page.getByRole('button', { name: 'Attribute' })).toHaveCount(0);
  await expectAccessible(page);

  const refund = event('conversion.reversed', { conversion_id: order, occurred_at: new Date().toISOString(), amount: '19.00', currency: 'USD', reversal_id: `re_${order}` });
  expect((await sendWebhook('supabase', { id: `msg_re_${order}`, body: refund, secret })).status).toBe(200);
  await expect(page.getByText('It earns $6.00.'), 'the open page follows').toBeVisible();
  await expect(page.getByRole('table', { name: 'Refunds' })).toContainText('$19.00');
  await page.getByRole('link', { name: 'its delivery' }).click();
  await expect(page).toHaveURL(/\/deliveries\//);
});

test('what nobody claims is attributed by hand with a reason, and then earns', async ({ page, pageErrors }) => {
  const site = await addSite(`By hand of ${run}`);
  const secret = await newSecret('supabase');
  await signIn(page);
  await click(page, site);
  const order = `hand_${run}`;
  const id = await convert(secret, order, '49.00', { user_id: `cus_${run}`, session_id: '0192b7a0-0000-7000-8000-000000000002' });

  await open(page, `/conversions/unattributed?search=${order}`);
  await expectAccessible(page);
  await page.getByRole('link', { name: `Look and attribute: ${order}` }).click();
  await expect(page).toHaveURL(new RegExp(`/conversions/${id}`));
  await expect(page.getByText('It earns nothing yet')).toBeVisible();
  await expectAccessible(page);

  await page.getByLabel('Or referral code or alias').fill('no-such-code');
  await page.getByLabel('Reason').fill('The customer wrote that the site sent them.');
  await page.getByRole('button', { name: 'Attribute' }).click();
  await expect(page.getByLabel('Or referral code or alias')).toHaveAttribute('aria-invalid', 'true');
  await expect(page.getByLabel('Reason'), 'what was typed is still there').toHaveValue('The customer wrote that the site sent them.');
  pageErrors.length = 0;

  await page.getByLabel('Or referral code or alias').fill('');
  const choice = page.getByLabel('Click', { exact: true });
  const offered = await choice.locator('option').filter({ hasText: `By hand of ${run}` }).getAttribute('value');
  await choice.selectOption(offered);
  await page.getByRole('button', { name: 'Attribute' }).click();
  await expect(page.getByText('It is attributed: it earns from now on')).toBeVisible();
  await expect(page.getByText('It earns $9.80.')).toBeVisible();
  await expect(page.getByText('The customer wrote that the site sent them.').first()).toBeVisible();
  expect(await sql(`select sum(amount_minor) from ledger_transactions join ledger_entries using (ledger_transaction_id) where conversion_id = '${id}' and account = 'partner_receivable'`)).toBe('980');
  expect(await sql(`select actor from audit_entries where action = 'attribution.manual' and subject = 'conversion supabase/${order}'`)).toBe('operator@example.com');
  await open(page, `/conversions/unattributed?search=${order}`);
  await expect(page.getByText('No conversion fits')).toBeVisible();
});

test('another policy is tried on the past without a trace, and its terms are one step away', async ({ page, pageErrors }) => {
  const site = await addSite(`What if of ${run}`);
  const secret = await newSecret('supabase');
  await signIn(page);
  await convert(secret, `if_${run}`, '49.00', { click_id: await click(page, site) });
  const traces = () => sql('select (select count(*) from attributions) || $$ $$ || (select count(*) from ledger_transactions) || $$ $$ || (select count(*) from partner_terms)');
  const before = await traces();
  await open(page, '/attribution/what-if');
  await page.getByLabel('Partner').selectOption('supabase');
  await page.getByLabel('Model').selectOption({ index: 0 });
  // What came sooner than an hour after its click would be refused.
  await page.getByLabel('Minimum, seconds').fill('3600');
  await page.getByRole('button', { name: 'Compare' }).click();
  await expect(page).toHaveURL(/partner=supabase&model=last_touch/);
  const line = page.getByRole('table', { name: 'Change by site' }).getByRole('row').filter({ hasText: `What if of ${run}` });
  await expect(line).toContainText('-$9.80');
  await expect(line).toContainText('loses');
  await expectAccessible(page);
  expect(await traces()).toBe(before);

  await page.getByRole('region', { name: 'Adopt it' }).getByRole('link', { name: 'Supabase' }).click();
  await expect(page.getByLabel('Minimum time, seconds')).toHaveValue('3600');
  await expect(page.getByLabel('Attribution model')).toHaveValue('last_touch');
  await open(page, '/attribution/what-if?model=best');
  await expect(page.getByRole('alert')).toContainText('is none of last_touch');
  // The console tells of the answer's status, 422.
  pageErrors.length = 0;
});

for (const [device, width, height] of [
  ['desktop', 1440, 900],
  ['phone', 390, 844],
] as const) {
  test(`the pages of conversions fit on a ${device}`, async ({ page }) => {
    await page.setViewportSize({ width, height });
    await signIn(page);
    const id = await sql('select conversion_id from conversions order by received_at desc limit 1');
    for (const path of ['/conversions', '/conversions/unattributed', `/conversions/${id}`, `/attribution/what-if?model=linear&window_hours=24&minimum_seconds=0&from=${year}-01-01&to=${year}-12-31`, '/partners/supabase']) {
      await open(page, path);
      await expect(page.getByRole('heading', { level: 1 }), path).toHaveCount(1);
      await expectAccessible(page);
      expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(width);
    }
  });
}
