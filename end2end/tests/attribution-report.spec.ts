// The programme-level attribution report, on a week of the past whose clicks and conversions are planted.
import { sql } from '../support/app.ts';
import { addSite, signIn } from '../support/product.ts';
import { expect, expectAccessible, open, test } from '../support/test.ts';

const WEEK = 'from=2026-03-01&to=2026-03-07';

/** Two people go from Supabase to Railway and buy; a third only looks at Supabase, and a robot at Railway. */
async function plantWeek(siteId: string): Promise<void> {
  const people = [1, 2, 3].map((person) => `00000000-0000-7000-8000-0000000000a${person}`);
  const click = (minute: number, person: number, partner: string, robot = false) =>
    `(gen_random_uuid(), timestamptz '2026-03-02 10:00Z' + interval '${minute} min', 'planted', '${partner}', '${siteId}', 'planted', '${people[person]}', 'desktop', ${robot}, ${!robot})`;
  await sql(`insert into clicks (click_id, clicked_at, referral_code, partner_id, site_id, developer_hash, session_id, agent_class, bot, counted)
    values ${[click(0, 0, 'supabase'), click(1, 0, 'railway'), click(2, 1, 'supabase'), click(3, 1, 'railway'), click(4, 2, 'supabase'), click(5, 2, 'railway', true)].join(', ')}`);
  const sale = (person: number, value: number, currency: string) =>
    `(gen_random_uuid(), 'railway', 'planted-${person}', 'sale', '2026-03-03Z', '2026-03-03Z', ${value}, '${currency}', '${people[person]}', 'webhook', 'attributed')`;
  await sql(`insert into conversions (conversion_id, partner_id, external_event_id, conversion_type, occurred_at, received_at, value_minor, currency, session_id, source, state)
    values ${[sale(0, 9900, 'USD'), sale(1, 5000, 'USD')].join(', ')}`);
}

/** The planted conversions have no commission, which other journeys need not see. */
test.afterEach(async () => {
  await sql("delete from conversions where external_event_id like 'planted-%'; delete from clicks where referral_code = 'planted'");
});

test('the models stand side by side, with their number and period, and pay nobody', async ({ page }) => {
  const { site_id } = await addSite('A site on many paths');
  await plantWeek(site_id);
  await signIn(page);
  await open(page, `/reports/attribution?${WEEK}`);
  await expect(page.getByText('This report pays nobody.')).toBeVisible();
  await expect(page.getByText('conversions: n = 2, paths without one: n = 1; 1 Mar 2026, 00:00 UTC').first()).toBeVisible();
  const table = page.getByRole('table', { name: 'Conversions by channel under each model' });
  const cells = (channel: string) => table.getByRole('row', { name: channel }).getByRole('cell');
  // Channel, clicks, first, last, linear, position, time decay, Markov (twice), Shapley, removal effect, per order, commission.
  await expect(cells('Supabase')).toContainText([/Supabase/, /3/, /^100\.0 %/, /^0\.0 %/, /50\.0 %/, /50\.0 %/, /33\.3 %/, /50\.0 %/, /50\.0 %/, /50\.0 %/, /100\.0 %/, /^0$/, /^–$/]);
  await expect(cells('Railway')).toContainText([/Railway/, /2/, /^0\.0 %/, /100\.0 %/, /50\.0 %/, /50\.0 %/, /66\.7 %/, /50\.0 %/, /50\.0 %/, /50\.0 %/, /100\.0 %/, /^0$/, /^–$/]);
  await expect(page.getByRole('img', { name: /Supabase Database: First click 100\.0 %, Last click 0\.0 %, Markov 50\.0 %, Shapley 50\.0 %/ })).toBeVisible();

  await page.getByLabel('Share out').selectOption('Their value');
  await page.getByRole('button', { name: 'Show', exact: true }).click();
  await expect(page).toHaveURL(/measure=value/);
  await expect(page.getByRole('table', { name: 'Value by channel under each model' })).toContainText('$74.50');

  await page.getByLabel('Channels').selectOption('Sites');
  await page.getByRole('button', { name: 'Show', exact: true }).click();
  await expect(page).toHaveURL(/channel=site/);
  const sites = page.getByRole('table', { name: 'Value by channel under each model' });
  await expect(sites.getByRole('link', { name: 'A site on many paths' })).toHaveAttribute('href', `/sites/${site_id}`);

  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download CSV' }).click()]);
  expect(download.suggestedFilename()).toBe('attribution-by-site-2026-03-01.csv');
  const file = await (await page.request.get(download.url())).text();
  expect(file).toContain('it pays nobody');
  expect(file).toContain(`${site_id},A site on many paths,5,2.000000,2.000000`);
});

for (const [device, width, height] of [
  ['desktop', 1440, 900],
  ['phone', 390, 844],
] as const) {
  test.describe(`on a ${device}`, () => {
    test.use({ viewport: { width, height } });

    test('the report is accessible in both colour schemes and does not scroll sideways', async ({ page }) => {
      const { site_id } = await addSite(`Paths on a ${device}`);
      await plantWeek(site_id);
      await signIn(page);
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        await open(page, `/reports/attribution?${WEEK}`);
        await expect(page.getByRole('heading', { level: 1, name: 'Attribution report' })).toHaveCount(1);
        await expect(page.getByRole('img', { name: /Shares under four models/ })).toBeVisible();
        await expectAccessible(page);
        expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
      }
    });
  });
}

test('a period without clicks says so, and a wrong one is named', async ({ page, pageErrors }) => {
  await signIn(page);
  await open(page, '/reports/attribution?from=2026-02-01&to=2026-02-02');
  await expect(page.getByText('No clicks in this period')).toBeVisible();
  await expectAccessible(page);

  await open(page, '/reports/attribution?from=2026-03-07&to=2026-03-01&channel=site');
  await expect(page.getByRole('alert')).toContainText('The range ends on 2026-03-01, before it starts on 2026-03-07');
  await expect(page.getByLabel('From')).toHaveValue('2026-03-07');
  await open(page, '/reports/attribution?channel=country');
  await expect(page.getByRole('alert')).toContainText('`country` is neither partner nor site');
  await page.getByRole('link', { name: 'Show the last 30 days' }).click();
  await expect(page.getByRole('alert')).toHaveCount(0);
  const refused = await page.request.get('/reports/attribution.csv?currency=gold');
  expect(refused.status()).toBe(422);
  expect(await refused.json()).toMatchObject({ field: 'currency' });
  pageErrors.length = 0;
});
