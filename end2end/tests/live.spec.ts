// What keeps open pages up to date, and what it must not disturb.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { app, orchestrator } from '../support/app.ts';
import { addSite, event, newSecret, personsBrowser, sendWebhook, signIn } from '../support/product.ts';
import { expect, expectAccessible, open, test, type Page } from '../support/test.ts';

const run = Date.now().toString(36);
let secret: string;

test.beforeAll(async () => {
  secret = await newSecret('supabase');
});

const status = (page: Page, text: string) => page.getByRole('status').filter({ hasText: text });
const row = (page: Page, text: string) => page.getByRole('row').filter({ hasText: text });

/** A conversion that nobody led to: it shows in the list of deliveries. */
async function deliver(id: string): Promise<void> {
  const body = event('conversion.created', { conversion_id: id, occurred_at: new Date().toISOString(), amount: '5.00', currency: 'USD', referral_code: 'p4s_00000000_supabase_000000' });
  expect((await sendWebhook('supabase', { id, body, secret })).status).toBe(200);
}

/** Publishes what another process would. */
async function publish(message: string): Promise<void> {
  await promisify(execFile)('redis-cli', ['-s', join(app.dataDir, 'run', 'redis.sock'), 'publish', 'live', message]);
}

/** As if the tab was left, or looked at again. */
async function setHidden(page: Page, hidden: boolean): Promise<void> {
  await page.evaluate((hidden) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));
  }, hidden);
}

test('a new row on top leaves focus, selection and scroll position where they are', async ({ page }) => {
  const [first, second] = [`live_${run}_1`, `live_${run}_2`];
  await deliver(first);
  await signIn(page);
  await open(page, '/deliveries?partner=supabase');
  await page.addStyleTag({ content: '.table-box { max-inline-size: 20rem }' });
  await expect(status(page, 'Live')).toBeVisible();
  await expect(row(page, first)).toContainText('processed');
  await row(page, first).getByRole('button', { name: 'Replay' }).focus();
  const box = page.locator('#deliveries .table-box');
  await box.evaluate((box) => (box.scrollLeft = 120));
  await row(page, first).getByText(first, { exact: true }).evaluate((id) => getSelection()!.selectAllChildren(id));

  await deliver(second);
  await expect(row(page, second)).toContainText('processed');
  await expect(row(page, first).getByRole('button', { name: 'Replay' })).toBeFocused();
  expect(await page.evaluate(() => getSelection()!.toString())).toBe(first);
  expect(await box.evaluate((box) => box.scrollLeft)).toBe(120);
});

test('hidden tabs hold no connection, so that any number may be open, and catch up when they are shown', async ({ page, context }) => {
  await signIn(page);
  const tabs = [page];
  for (let count = 0; count < 7; count += 1) {
    const tab = tabs.at(-1)!;
    await open(tab, '/deliveries');
    await expect(status(tab, 'Live')).toBeVisible();
    await setHidden(tab, true);
    await expect(status(tab, 'Connecting')).toBeVisible();
    tabs.push(await context.newPage());
  }
  const id = `live_${run}_hidden`;
  await deliver(id);
  await setHidden(page, false);
  await expect(status(page, 'Live')).toBeVisible();
  await expect(row(page, id)).toBeVisible();
});

test('a failed answer is not taken for the page, and is asked for again', async ({ page, pageErrors }) => {
  const [before, after] = [`live_${run}_before`, `live_${run}_after`];
  await deliver(before);
  await signIn(page);
  await open(page, '/deliveries');
  await expect(status(page, 'Live')).toBeVisible();
  await page.route('**/deliveries', (route) => route.fulfill({ status: 503, contentType: 'text/html', body: '<div id="deliveries">Away</div>' }));
  await deliver(after);
  await expect(status(page, 'showing data as of')).toBeVisible();
  await expect(row(page, before)).toBeVisible();
  await expect(page.getByText('Away')).toHaveCount(0);
  await page.unroute('**/deliveries');
  await expect(row(page, after)).toBeVisible();
  await expect(status(page, 'Live')).toBeVisible();
  pageErrors.length = 0;
});

test('a page whose session has ended says so and leads back to itself', async ({ page, context, pageErrors }) => {
  await signIn(page);
  await open(page, '/deliveries?partner=supabase');
  await expect(status(page, 'Live')).toBeVisible();
  await context.clearCookies();
  await setHidden(page, true);
  await setHidden(page, false);
  const signedOut = status(page, 'You are signed out');
  await expect(signedOut).toBeVisible();
  await expectAccessible(page);
  await signedOut.getByRole('link', { name: 'Sign in again' }).click();
  await page.getByLabel('E-mail').fill(app.email);
  await page.getByLabel('Password').fill(app.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page).toHaveURL(/\/deliveries\?partner=supabase$/);
  pageErrors.length = 0;
});

test('whoever may have missed something asks again, whatever the page is about', async ({ page }) => {
  await signIn(page);
  for (const [path, message] of [
    ['/experiments', { topic: 'resync' }],
    ['/imports', { topic: 'resync' }],
    ['/', { topic: 'books', partner_id: 'supabase' }],
    ['/', { topic: 'success', success_event_id: '00000000-0000-7000-8000-000000000000', partner_id: 'supabase' }],
  ] as const) {
    await open(page, path);
    await expect(status(page, 'Live')).toBeVisible();
    const asked = page.waitForRequest((request) => new URL(request.url()).pathname === path);
    await publish(JSON.stringify(message));
    await asked;
  }
});

test('a list that people decide about stays as it is and says when it has changed', async ({ page }) => {
  const orders = [`live_${run}_a`, `live_${run}_b`];
  const site = await addSite(`Live ${run}`);
  const alias = site.links.find((link) => link.partner_id === 'supabase')?.alias ?? '';
  const sell = async (order: string) => {
    const answer = await fetch(`${app.baseUrl}/r/${alias}`, { redirect: 'manual', headers: { 'user-agent': personsBrowser } });
    const clickId = new URL(answer.headers.get('location') ?? '').searchParams.get('click_id');
    const body = event('conversion.created', { conversion_id: order, occurred_at: new Date().toISOString(), amount: '5.00', currency: 'USD', click_id: clickId });
    expect((await sendWebhook('supabase', { id: `msg_${order}`, body, secret })).status).toBe(200);
    await expect.poll(async () => (await orchestrator('explain', order)).code).toBe(0);
  };
  await sell(orders[0]!);
  await signIn(page);
  await open(page, `/commissions?search=live_${run}`);
  await expect(status(page, 'Live')).toBeVisible();
  const notice = page.getByText('The list has changed since you opened it');
  await expect(notice).toBeHidden();
  await page.getByLabel(`Choose the commission of ${orders[0]}`).check();
  await page.getByLabel('Reason').fill('looks odd');

  await sell(orders[1]!);
  await expect(notice).toBeVisible();
  await expectAccessible(page);
  await expect(page.getByLabel(`Choose the commission of ${orders[0]}`), 'what was chosen stays').toBeChecked();
  await expect(page.getByLabel('Reason')).toHaveValue('looks odd');
  await expect(row(page, orders[1]!)).toHaveCount(0);
  await page.getByRole('link', { name: 'Reload it' }).click();
  await expect(row(page, orders[1]!)).toBeVisible();
  expect(new URL(page.url()).searchParams.get('search')).toBe(`live_${run}`);
  await expect(notice).toBeHidden();
});
