// The dashboard's figures as an operator reads them: a sale stands at the day when it happened, and a phone's letters can be read.
import { sql } from '../support/app.ts';
import { event, newSecret, sendWebhook, signIn } from '../support/product.ts';
import { expect, expectAccessible, open, test } from '../support/test.ts';

const MS_PER_DAY = 86_400_000;

/** Smaller letters are guessed rather than read. */
const LETTER_PX_MIN = 10;

const daysAgo = (days: number) => new Date(Date.now() - days * MS_PER_DAY);

/** `21 Nov 2026` */
const inWords = (date: Date) => `${date.getUTCDate()} ${date.toLocaleString('en-US', { month: 'short', timeZone: 'UTC' })} ${date.getUTCFullYear()}`;

/** Without something earned there is no chart. */
test.beforeEach(async () => {
  await sql(
    `insert into hourly_money (hour, partner_id, currency, shard, commission_minor, rated)
     values (date_trunc('hour', now() - interval '3 days', 'UTC'), 'figma', 'USD', 99, 123456, 1) on conflict do nothing`,
  );
});

test('a sale that comes in late counts at the day when it happened', async ({ page }) => {
  const happened = daysAgo(2);
  await signIn(page);
  await page.getByText('Show as table').first().click();
  const row = page.getByRole('table', { name: 'Commission over time' }).getByRole('row').filter({ has: page.getByRole('rowheader', { name: inWords(happened), exact: true }) });
  // Behind the day: commission, conversions, clicks.
  const conversions = row.getByRole('cell').nth(1);
  const before = Number(await conversions.textContent());

  const order = `late_${Date.now()}`;
  const data = { conversion_id: order, occurred_at: happened.toISOString(), amount: '49.00', currency: 'USD', user_id: order };
  const secret = await newSecret('figma');
  // Processes keep secrets for some seconds.
  await expect(async () => {
    const answer = await sendWebhook('figma', { id: `msg_${order}`, body: event('conversion.created', data), secret });
    expect(answer.status).toBe(200);
  }).toPass();
  await expect(conversions).toHaveText(String(before + 1));
});

test('the period stands in the address, is marked, names the figure, and comes back by Back', async ({ page }) => {
  const expectPeriod = async (name: string, words: string) => {
    await expect(page).toHaveURL(`/?range=${name}`);
    await expect(page.getByRole('group', { name: 'Period, in UTC' }).locator('[aria-current]')).toHaveText(name);
    await expect(page.getByRole('region', { name: 'Key figures' }).getByRole('heading', { name: `Commission, ${words}` })).toBeVisible();
  };
  await signIn(page);
  await open(page, '/?range=7d');
  await expectPeriod('7d', 'last 7 days');
  await page.getByRole('link', { name: '24h, last 24 hours' }).click();
  await expectPeriod('24h', 'last 24 hours');
  await page.goBack();
  await expectPeriod('7d', 'last 7 days');
});

test.describe('on a phone', () => {
  test.use({ viewport: { width: 390, height: 844 } });

  test('the letters of the chart can be read, and the page does not scroll sideways', async ({ page }) => {
    await signIn(page);
    await open(page, '/');
    const drawing = page.getByRole('img', { name: /^Commission over time/ });
    await expect(drawing, 'of its two drawings one is shown').toHaveCount(1);
    const letters = await drawing.evaluate((element) => {
      const svg = element as unknown as SVGSVGElement;
      const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
      return [...svg.querySelectorAll('text')].map((text) => parseFloat(getComputedStyle(text).fontSize) * scale);
    });
    expect(letters.length).toBeGreaterThan(5);
    expect(Math.min(...letters)).toBeGreaterThanOrEqual(LETTER_PX_MIN);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
    await expectAccessible(page);
  });
});
