// One month from its conversions to the money in the bank: approval, a partial refund, the statement, the payout, and the books behind it all.
import { app, orchestrator, sql } from '../support/app.ts';
import { addSite, event, newSecret, personsBrowser, sendWebhook, signIn } from '../support/product.ts';
import { expect, expectAccessible, open, test } from '../support/test.ts';

/** A partner whose commissions no other journey approves. */
const partner = 'railway';

/** What an account holds in dollars, by `orchestrator ledger balances`, in cents. */
async function balance(account: string): Promise<number> {
  const { code, stdout, stderr } = await orchestrator('ledger', 'balances');
  expect(code, stderr).toBe(0);
  const amount = new RegExp(`^${account} +(-?)\\$([\\d,.]+)$`, 'm').exec(stdout);
  if (amount === null) return 0;
  const cents = Number((amount[2] ?? '').replaceAll(/[,.]/g, ''));
  return amount[1] === '-' ? -cents : cents;
}

/** A person follows the link; the click id is what the partner sends back. */
async function click(alias: string): Promise<string> {
  const answer = await fetch(`${app.baseUrl}/r/${alias}`, { redirect: 'manual', headers: { 'user-agent': personsBrowser } });
  expect(answer.status).toBe(302);
  const clickId = new URL(answer.headers.get('location') ?? '').searchParams.get('click_id');
  return clickId ?? '';
}

const dollars = (cents: number): string => `$${(cents / 100).toLocaleString('en-US', { minimumFractionDigits: 2 })}`;

test('a month goes from conversions through approval, a refund, statement and payout to paid, and its total is the ledger’s', async ({ page }) => {
  test.setTimeout(120_000);
  const now = new Date();
  const month = now.toISOString().slice(0, 7);
  const after = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1, 1)).toISOString();
  const orders = ['a', 'b', 'c'].map((letter) => `close_${now.getTime()}_${letter}`);
  const before = { receivable: await balance('partner_receivable'), cash: await balance('cash') };

  await test.step('three sales and a partial refund come in as signed webhooks', async () => {
    const site = await addSite(`Month's end ${now.getTime()}`);
    const alias = site.links.find((link) => link.partner_id === partner)?.alias ?? '';
    const secret = await newSecret(partner);
    for (const [index, order] of orders.entries()) {
      const amount = ['100.00', '50.00', '30.00'][index];
      const body = event('conversion.created', { conversion_id: order, occurred_at: new Date().toISOString(), amount, currency: 'USD', click_id: await click(alias) });
      expect((await sendWebhook(partner, { id: `msg_${order}`, body, secret })).status).toBe(200);
    }
    const refund = event('conversion.reversed', { conversion_id: orders[0], occurred_at: new Date().toISOString(), amount: '20.00', currency: 'USD', reversal_id: `re_${orders[0]}` });
    expect((await sendWebhook(partner, { id: `msg_re_${orders[0]}`, body: refund, secret })).status).toBe(200);
    const booked = () => sql(`select count(*) from ledger_transactions join conversions using (conversion_id) where external_event_id like 'close_${now.getTime()}_%'`);
    await expect.poll(booked).toBe('4');
  });
  const owed = (await balance('partner_receivable')) - before.receivable;
  expect(owed).toBeGreaterThan(0);

  const list = `/commissions?search=close_${now.getTime()}`;
  const row = (order: string | undefined) => page.getByRole('row').filter({ hasText: order ?? 'no order' });
  await test.step('one is held back with a reason and released', async () => {
    await signIn(page);
    await open(page, list);
    await expect(page.getByRole('table', { name: 'Commissions' }).getByRole('row')).toHaveCount(4);
    await expectAccessible(page);
    await page.getByLabel(`Choose the commission of ${orders[1]}`).check();
    await page.getByRole('button', { name: 'Hold back' }).click();
    await expect(page.getByText(/say why/i), 'a reason is asked for').toBeVisible();
    await page.getByLabel(`Choose the commission of ${orders[1]}`).check();
    await page.getByLabel('Reason').fill('looks odd');
    await page.getByRole('button', { name: 'Hold back' }).click();
    await expect(page.getByText('are held back: no timer approves them')).toBeVisible();
    await expect(row(orders[1])).toContainText('looks odd');
    await page.getByLabel(`Choose the commission of ${orders[1]}`).check();
    await page.getByRole('button', { name: 'Release' }).click();
    await expect(row(orders[1])).toContainText('pending');
  });

  await test.step('all three are approved before their hold period is over, with a reason', async () => {
    for (const order of orders) await page.getByLabel(`Choose the commission of ${order}`).check();
    await page.getByLabel('Reason').fill('agreed with the partner');
    await page.getByRole('button', { name: 'Approve now' }).click();
    await expect(page.getByText('The chosen commissions are approved')).toBeVisible();
    for (const order of orders) await expect(row(order)).toContainText('approved');
  });

  await test.step('the month is not issued before it is over', async () => {
    await open(page, `/statements?month=${month}`);
    await expect(page.getByText(`${month} is not over yet`)).toBeVisible();
    await expect(page.getByRole('button', { name: `Issue the statements of ${month}` })).toHaveCount(0);
  });

  await page.context().setExtraHTTPHeaders({ 'x-simulated-time': after });
  const number = `S-${partner}-${month}-USD`;
  await test.step('once it is over, its statements are issued, once', async () => {
    await page.context().clearCookies();
    await signIn(page);
    await open(page, `/statements?month=${month}`);
    await expect(page.getByRole('table', { name: 'What would be issued' }).getByRole('row').filter({ hasText: partner })).toContainText(dollars(owed));
    await expectAccessible(page);
    await page.getByRole('button', { name: `Issue the statements of ${month}` }).click();
    await expect(page.getByText('The month is closed')).toBeVisible();
    await expect(page.getByRole('table', { name: 'Statements' }).getByRole('row').filter({ hasText: number })).toContainText(dollars(owed));
    await expect(page.getByText('Nothing is left to state')).toBeVisible();
  });

  await test.step('the statement says what the ledger says, on the page and in its files', async () => {
    await page.getByRole('link', { name: number }).click();
    await expect(page.getByRole('heading', { level: 1, name: number })).toBeVisible();
    await expect(page.getByText('The total and every line are what the ledger says.')).toBeVisible();
    await expect(page.locator('#statement-story')).toContainText(dollars(owed));
    await expect(page.getByRole('table', { name: 'Lines' }).getByRole('row')).toHaveCount(5);
    await expect(row(orders[0]).filter({ hasText: 'reversal' })).toContainText('-$');
    await expectAccessible(page);
    const href = (name: string) => page.getByRole('link', { name, exact: true }).getAttribute('href');
    const csv = await (await page.request.get((await href('CSV')) ?? '')).text();
    expect(csv).toContain(`,${(owed / 100).toFixed(2)},USD`);
    const json = (await (await page.request.get((await href('JSON')) ?? '')).json()) as { total_minor: number; lines: { amount_minor: number }[] };
    expect(json.total_minor).toBe(owed);
    expect(json.lines.reduce((sum, line) => sum + line.amount_minor, 0)).toBe(owed);
    expect(await (await page.request.get((await href('Print')) ?? '')).text()).toContain(`<h1>Statement ${number}</h1>`);
    expect((await fetch(new URL((await href('CSV')) ?? '', app.baseUrl))).status, 'for who is not signed in').toBe(401);
  });

  await test.step('a payout settles it, and is paid when the money came', async () => {
    await open(page, '/payouts');
    const group = page.locator('form').filter({ hasText: number });
    await expect(group.getByLabel(`Settle ${number}`)).toBeChecked();
    await expectAccessible(page);
    await group.getByRole('button', { name: 'Make a payout' }).click();
    await expect(page.getByText('The payout is open')).toBeVisible();
    const payout = page.getByRole('region', { name: /^Payout P-/ }).filter({ hasText: number });
    await expect(payout).toContainText(dollars(owed));
    const csv = await (await page.request.get((await payout.getByRole('link', { name: 'CSV for the bank' }).getAttribute('href')) ?? '')).text();
    expect(csv).toContain(`,${(owed / 100).toFixed(2)},USD,${number}`);
    expect(await balance('cash')).toBe(before.cash);
    await payout.getByLabel('Bank reference').fill('SEPA 4711');
    await expectAccessible(page);
    await payout.getByRole('button', { name: 'Mark as paid' }).click();
    await expect(page.getByText('The payout is paid and booked.')).toBeVisible();
    await expect(page.getByRole('table', { name: 'Paid payouts' }).getByRole('row').filter({ hasText: number })).toContainText('SEPA 4711');
  });

  await test.step('its commissions are paid, the money is in the books once, and the log tells who did what', async () => {
    await open(page, list);
    for (const order of orders) await expect(row(order)).toContainText('paid');
    await expect(page.getByRole('button', { name: 'Approve now' })).toHaveCount(0);
    expect(await balance('cash')).toBe(before.cash + owed);
    expect(await balance('partner_receivable')).toBe(before.receivable);
    const { code, stdout, stderr } = await orchestrator('ledger', 'verify');
    expect(code, stdout + stderr).toBe(0);
    await open(page, '/audit?action=payout.paid');
    await expect(page.getByRole('table', { name: 'Audit log' })).toContainText('SEPA 4711');
    await expectAccessible(page);
  });
});

for (const [device, width, height] of [
  ['desktop', 1440, 900],
  ['phone', 390, 844],
] as const) {
  test(`the pages of the books fit a ${device}, and say so when a query makes no sense`, async ({ page, pageErrors }) => {
    await page.setViewportSize({ width, height });
    await signIn(page);
    for (const path of ['/commissions', '/commissions?state=held', '/statements', '/payouts', '/audit', '/audit?search=nothing+has+this']) {
      await open(page, path);
      await expect(page.getByRole('heading', { level: 1 }), path).toHaveCount(1);
      await expectAccessible(page);
      expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(width);
    }
    for (const path of ['/commissions?state=lost', '/commissions?from=yesterday', '/commissions?page=0', '/statements?month=2026-13', '/statements/nothing', '/payouts?page=x', '/audit?before=x']) {
      await open(page, path);
      await expect(page.getByRole('alert'), path).toBeVisible();
    }
    // The browser reports the answers' statuses, which are meant.
    pageErrors.length = 0;
  });
}
