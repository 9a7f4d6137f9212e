// The operators' pages, each on a desktop and on a phone, with what can be done on them.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from '../support/app.ts';
import { addSite, event, realProject, sendWebhook, signIn } from '../support/product.ts';
import { expect, expectAccessible, hydrated, open, test } from '../support/test.ts';

test('a wrong password is refused in words, and who is not signed in sees no page', async ({ page, pageErrors }) => {
  await open(page, '/partners');
  await expect(page).toHaveURL(/\/sign-in\?next=/);
  await page.getByLabel('E-mail').fill('operator@example.com');
  await page.getByLabel('Password').fill('wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('alert')).toBeVisible();
  await expectAccessible(page);
  pageErrors.length = 0;
});

for (const [device, width, height] of [
  ['desktop', 1440, 900],
  ['phone', 390, 844],
] as const) {
  test.describe(`on a ${device}`, () => {
    test.use({ viewport: { width, height } });

    test('every page is accessible, has one heading and does not scroll sideways', async ({ page }) => {
      const { site_id } = await addSite(`Pages on a ${device}`);
      await signIn(page);
      for (const path of ['/', '/sites', `/sites/${site_id}`, '/partners', '/partners/supabase', '/deliveries', '/account', '/people']) {
        await open(page, path);
        await expect(page.getByRole('heading', { level: 1 }), path).toHaveCount(1);
        await expect(page.locator('[aria-busy="true"]'), path).toHaveCount(0);
        await expectAccessible(page);
        expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(width);
      }
    });

    test('every page is accessible in dark colours', async ({ page }) => {
      await page.emulateMedia({ colorScheme: 'dark' });
      await signIn(page);
      for (const path of ['/', '/sites', '/partners/supabase', '/deliveries', '/account', '/people']) {
        await open(page, path);
        await expect(page.getByRole('heading', { level: 1 }), path).toHaveCount(1);
        await expectAccessible(page);
      }
    });
  });
}

test('new terms become a version of their own', async ({ page }) => {
  await signIn(page);
  await open(page, '/partners/figma');
  const versions = page.getByRole('table', { name: /Versions of the terms/ });
  await expect(versions.getByRole('row')).toHaveCount(2);
  await page.getByLabel('Commission rate, %').fill('12.5');
  await page.getByRole('button', { name: 'Add these terms' }).click();
  await expect(page.getByText('The new terms are saved as a version of their own.')).toBeVisible();
  await expect(versions.getByRole('row').nth(1)).toContainText('12.5');
  await expect(versions.getByRole('row').nth(1), 'it starts in some minutes: events may lie as far ahead of our clock').toContainText('coming');
  await expect(versions.getByRole('row').nth(2)).toContainText('in force');
});

test('terms that make no sense are refused at their field', async ({ page, pageErrors }) => {
  await signIn(page);
  await open(page, '/partners/railway');
  await page.getByLabel('Commission rate, %').fill('120');
  await page.getByRole('button', { name: 'Add these terms' }).click();
  await expect(page.getByLabel('Commission rate, %')).toHaveAttribute('aria-invalid', 'true');
  await expect(page.getByLabel('Commission rate, %'), 'what was typed is still there').toHaveValue('120');
  expect(await sql("select count(*) from partner_terms where partner_id = 'railway'")).toBe('1');
  pageErrors.length = 0;
});

test('a new secret is shown once, takes a signed test, and its delivery can be replayed without a second effect', async ({ page }) => {
  await signIn(page);
  await open(page, '/partners/figma');
  await page.locator('summary').filter({ hasText: 'Make new secret' }).click();
  await page.getByRole('button', { name: 'Make it now' }).click();
  const shown = page.getByLabel('New webhook secret', { exact: true });
  await expect(shown).toHaveText(/^whsec_/);
  const secret = (await shown.innerText()).trim();
  await expectAccessible(page);

  await page.getByRole('button', { name: 'Send test webhook' }).click();
  await expect(page).toHaveURL(/\/deliveries\/[0-9a-f-]{36}$/);
  await expect(page.locator('#delivery-story')).toContainText('test event');
  await open(page, '/partners/figma');
  await expect(shown).toHaveCount(0);
  await expect(page.locator('body')).not.toContainText(secret);

  const id = `msg_${Date.now()}`;
  const order = `inv_${Date.now()}`;
  const body = event('conversion.created', { conversion_id: order, occurred_at: new Date().toISOString(), amount: '5.00', currency: 'USD', referral_code: 'p4s_00000000_figma_000000' });
  expect((await sendWebhook('figma', { id, body, secret })).status).toBe(200);

  await open(page, '/deliveries?partner=figma');
  const delivery = page.getByRole('row').filter({ hasText: id });
  await expect(delivery).toContainText('processed');
  await expectAccessible(page);
  const processed = () => sql(`select processed_at from webhook_deliveries where message_id = '${id}' and state = 'processed'`);
  const before = await processed();
  await delivery.getByRole('button', { name: 'Replay' }).click();
  await expect(page.getByText('It is back in the queue')).toBeVisible();
  await expect(async () => expect([before, '']).not.toContain(await processed())).toPass();
  expect(await sql(`select count(*) from conversions where external_event_id = '${order}'`)).toBe('1');

  await expect(page.getByRole('heading', { level: 1, name: 'conversion.created' })).toBeVisible();
  await expect(page.getByText(order).first()).toBeVisible();
  await expectAccessible(page);
});

test('an operator adds a site from an archive in the browser, and a broken archive comes back with its reason', async ({ page }) => {
  const folder = mkdtempSync(join(tmpdir(), 'orchestrator-upload-'));
  const archive = join(folder, 'project.tar.gz');
  execFileSync('tar', ['-czf', archive, '-C', realProject, '.']);
  await signIn(page);
  await open(page, '/sites');
  const fill = async (file: string | { name: string; mimeType: string; buffer: Buffer }) => {
    const form = page.locator('form[action="/sites"]');
    if (!(await form.isVisible())) await page.locator('summary').filter({ hasText: 'Add a site' }).click();
    await form.getByLabel('Name').fill('From the browser');
    await form.getByLabel('Developer').fill('somebody');
    await form.getByLabel('Project archive').setInputFiles(file);
    await form.getByRole('button', { name: 'Analyse and add' }).click();
  };
  await fill({ name: 'broken.zip', mimeType: 'application/zip', buffer: Buffer.from('no archive') });
  await expect(page).toHaveURL(/\/sites\?error=/);
  await expect(page.locator('main')).toContainText('no zip, tar or tar.gz archive');
  await hydrated(page);
  await fill(archive);
  await expect(page).toHaveURL(/\/sites\/[0-9a-f-]{36}$/);
  await expect(page.getByRole('heading', { level: 1, name: 'From the browser' })).toBeVisible();
  await expect(page.locator('main')).toContainText('Prisma');
});

test('an operator analyses a site again, renames it, retires it and brings it back', async ({ page }) => {
  const { site_id } = await addSite('To be changed');
  const folder = mkdtempSync(join(tmpdir(), 'orchestrator-again-'));
  writeFileSync(join(folder, 'main.go'), 'package main\nfunc main() {}\n');
  const archive = join(folder, 'again.tar.gz');
  execFileSync('tar', ['-czf', archive, '-C', folder, 'main.go']);
  await signIn(page);
  await open(page, `/sites/${site_id}`);
  await expect(page.locator('main')).toContainText('Prisma');
  const change = async () => {
    const isOpen = await page.locator('details.add-site').evaluate((details) => (details as HTMLDetailsElement).open);
    if (!isOpen) await page.locator('summary').filter({ hasText: 'Change this site' }).click();
  };
  await change();
  await expectAccessible(page);
  await page.getByLabel('Project archive').setInputFiles({ name: 'broken.zip', mimeType: 'application/zip', buffer: Buffer.from('no archive') });
  await page.getByRole('button', { name: 'Analyse again' }).click();
  await expect(page.getByText('The site was not analysed.')).toBeVisible();
  await hydrated(page);
  await change();
  await page.getByLabel('Project archive').setInputFiles(archive);
  await page.getByRole('button', { name: 'Analyse again' }).click();
  await expect(page.getByText('The project is analysed again')).toBeVisible();
  await expect(page).toHaveURL(`/sites/${site_id}?done=site-analysed`);
  await expect(page.locator('main')).toContainText('Go');
  await expect(page.locator('main')).not.toContainText('Prisma');
  await hydrated(page);

  await change();
  await page.getByLabel('Name', { exact: true }).fill('Changed');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Changed' })).toBeVisible();

  await change();
  await page.locator('summary').filter({ hasText: /^Retire$/ }).click();
  await page.getByRole('button', { name: 'Retire this site' }).click();
  await expect(page.getByText('This site is retired')).toBeVisible();
  expect((await page.request.get(`/api/v1/sites/${site_id}/recommendations`)).status()).toBe(409);
  await change();
  await page.getByRole('button', { name: 'Bring it back' }).click();
  await expect(page.getByText('This site is retired')).toHaveCount(0);
});
