// Signing in, one's own account, and the people that owners manage.
import type { Browser } from '@playwright/test';
import { orchestrator, sql } from '../support/app.ts';
import { OtherSite, signIn } from '../support/product.ts';
import { app, expect, expectAccessible, hydrated, open, test, type Page } from '../support/test.ts';

const firstPassword = 'a first password of somebody';

/** Somebody who is unlike any other test's people. The command line gives them the password that the environment has for the first one. */
async function addAnalyst(): Promise<string> {
  const email = `analyst-${Date.now()}@example.com`;
  const { code, stderr } = await orchestrator('admin', 'create', email, '--role', 'analyst');
  expect(code, stderr).toBe(0);
  return email;
}

async function signInAs(page: Page, email: string, password: string): Promise<void> {
  await open(page, '/sign-in');
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

async function otherBrowser(browser: Browser): Promise<Page> {
  return (await browser.newContext()).newPage();
}

const dashboard = (page: Page) => page.getByRole('heading', { level: 1, name: 'Dashboard' });

test('a password is changed, which signs other browsers out, and a wrong one is refused at its field', async ({ page, browser, pageErrors }) => {
  const email = await addAnalyst();
  await signInAs(page, email, app.password);
  await expect(page).toHaveURL(/\/account$/);
  await expect(page.getByText('Choose a password of your own')).toBeVisible();
  const other = await otherBrowser(browser);
  await signInAs(other, email, app.password);
  await expect(other.getByRole('heading', { level: 1, name: 'Your account' })).toBeVisible();

  const change = async (present: string, next: string, again: string) => {
    await page.getByLabel('Present password').fill(present);
    await page.getByLabel('New password', { exact: true }).fill(next);
    await page.getByLabel('New password again').fill(again);
    await page.getByRole('button', { name: 'Change password' }).click();
    await hydrated(page);
  };
  await page.getByRole('link', { name: 'Account' }).first().click();
  await expect(page.getByText('You are signed in on 2 browsers')).toBeVisible();
  await expect(page.getByRole('link', { name: 'People' }), 'only owners manage people').toHaveCount(0);
  await change('wrong', firstPassword, firstPassword);
  await expect(page.getByLabel('Present password')).toHaveAttribute('aria-invalid', 'true');
  await change(app.password, 'short', 'short');
  await expect(page.getByLabel('New password', { exact: true })).toHaveAttribute('aria-invalid', 'true');
  await change(app.password, firstPassword, 'something else here');
  await expect(page.getByLabel('New password again')).toHaveAttribute('aria-invalid', 'true');
  await expectAccessible(page);
  expect(decodeURIComponent(page.url()).replaceAll('+', ' '), 'no password gets into the address').not.toContain(firstPassword);

  await change(app.password, firstPassword, firstPassword);
  await expect(page.getByText('Your password is changed')).toBeVisible();
  await expect(page.getByText('Choose a password of your own')).toHaveCount(0);
  await expect(page.getByText('You are signed in on 1 browser,')).toBeVisible();
  await other.goto('/');
  await expect(other).toHaveURL(/\/sign-in/);
  await signInAs(other, email, firstPassword);
  await expect(dashboard(other)).toBeVisible();

  await page.getByText('Sign out everywhere', { exact: true }).click();
  await page.getByRole('button', { name: 'Sign out everywhere now' }).click();
  await expect(page).toHaveURL(/\/sign-in/);
  await other.goto('/');
  await expect(other).toHaveURL(/\/sign-in/);
  expect(await sql(`select string_agg(distinct action, ' ' order by action) from audit_entries where actor = '${email}'`)).toBe(
    'operator.change_password operator.sign_in operator.sign_out_everywhere',
  );
  await other.context().close();
  pageErrors.length = 0;
});

test('the session is in a cookie that no script reads and no form of another site brings along', async ({ page, context }) => {
  const [answer] = await Promise.all([page.waitForResponse((it) => it.request().method() === 'POST' && it.url().includes('sign_in')), signIn(page)]);
  // As it was sent: a browser's list of cookies says Lax also of one that says nothing.
  const sent = (await answer.headerValues('set-cookie')).filter((cookie) => cookie.startsWith('orchestrator_session='));
  expect(sent.map((cookie) => cookie.split('; '))).toEqual([expect.arrayContaining(['HttpOnly', 'SameSite=Lax', 'Path=/'])]);
  const kept = (await context.cookies()).find((cookie) => cookie.name === 'orchestrator_session');
  expect(kept).toMatchObject({ httpOnly: true, sameSite: 'Lax', path: '/' });
  expect(await page.evaluate(() => document.cookie)).not.toContain('orchestrator_session');
});

test('after signing out, Back shows no page of before', async ({ page }) => {
  await signIn(page);
  await open(page, '/partners');
  expect((await page.request.get('/partners')).headers()['cache-control']).toBe('private, no-store');
  await page.getByRole('button', { name: 'Sign out' }).first().click();
  await expect(page).toHaveURL(/\/sign-in/);
  await page.goBack();
  await expect(page).toHaveURL(/\/sign-in/);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Sign in to Orchestrator');
});

test('a form on another site signs nobody in or out', async ({ page, browser, pageErrors }) => {
  await signIn(page);
  const signOut = await page.locator('form:has(button[aria-label="Sign out"])').first().getAttribute('action');
  const stranger = await otherBrowser(browser);
  await open(stranger, '/sign-in');
  const signInAction = await stranger.locator('form').getAttribute('action');
  const fields = `<input name="email" value="${app.email}"><input name="password" value="${app.password}"><input name="next" value="">`;
  const form = (action: string | null, inputs: string) =>
    `<title>A blog</title><form method="post" action="${app.baseUrl}${new URL(action ?? '', app.baseUrl).pathname}">${inputs}<button>Win</button></form>`;

  // `localhost` and `127.0.0.1` are two sites to a browser.
  const visit = async (visitor: Page, html: string) => {
    await using site = await OtherSite.serve(html);
    await visitor.goto(site.url.replace('127.0.0.1', 'localhost'));
    const [answer] = await Promise.all([visitor.waitForResponse((it) => it.request().method() === 'POST'), visitor.getByRole('button', { name: 'Win' }).click()]);
    expect(answer.status()).toBe(403);
  };
  await visit(stranger, form(signInAction, fields));
  await stranger.goto('/');
  await expect(stranger).toHaveURL(/\/sign-in/);
  await visit(page, form(signOut, ''));
  await open(page, '/');
  await expect(dashboard(page)).toBeVisible();
  await stranger.context().close();
  pageErrors.length = 0;
});

for (const [device, width, height] of [
  ['desktop', 1440, 900],
  ['phone', 390, 844],
] as const) {
  test(`an owner adds, changes and removes somebody on a ${device}`, async ({ page, browser, pageErrors }) => {
    await page.setViewportSize({ width, height });
    await signIn(page);
    await open(page, '/people');
    const email = `new-${device}-${Date.now()}@example.com`;
    await page.getByLabel('E-mail', { exact: true }).fill(email);
    await page.getByRole('combobox', { name: 'Role' }).selectOption('analyst');
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await hydrated(page);
    const shown = page.getByLabel(`Password of ${email}`, { exact: true });
    const password = (await shown.innerText()).trim();
    await expectAccessible(page);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    await open(page, '/people');
    await expect(shown, 'it is shown once').toHaveCount(0);

    const other = await otherBrowser(browser);
    await signInAs(other, email, password);
    await expect(other.getByText('Choose a password of your own')).toBeVisible();
    await other.goto('/people');
    await expect(other.getByRole('alert')).toContainText('owners');

    const row = page.getByRole('row').filter({ hasText: email });
    const press = async (name: string) => {
      await row.locator('summary').click();
      await row.getByRole('button', { name }).click();
      await hydrated(page);
    };
    await press('Make operator');
    await expect(page.getByText('The role is changed')).toBeVisible();
    await expect(row).toContainText('operator');
    await press('Make new password');
    await expect(shown).toBeVisible();
    expect((await shown.innerText()).trim()).not.toBe(password);
    await other.goto('/');
    await expect(other).toHaveURL(/\/sign-in/);
    await press('Remove for good');
    await expect(page.getByText('They are removed and signed out.')).toBeVisible();
    await expect(row).toHaveCount(0);

    const own = page.getByRole('row').filter({ hasText: app.email });
    await own.locator('summary').click();
    await expect(own.getByRole('button', { name: 'Make new password' }), 'nobody would see it').toHaveCount(0);
    await expectAccessible(page);
    await own.getByRole('button', { name: 'Remove for good' }).click();
    await expect(page.getByRole('alert')).toContainText('only owner');
    await other.context().close();
    pageErrors.length = 0;
  });
}
