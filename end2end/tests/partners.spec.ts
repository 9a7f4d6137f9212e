// A partner's page: forms that somebody else was faster than, terms that are taken back, secrets, and what was refused at the door.
import { app, orchestrator, sql } from '../support/app.ts';
import { event, sendWebhook, signIn } from '../support/product.ts';
import { expect, expectAccessible, open, test, type Page } from '../support/test.ts';

const save = (page: Page) => page.getByRole('button', { name: 'Save', exact: true }).click();
const addTerms = (page: Page) => page.getByRole('button', { name: 'Add these terms' }).click();
const versions = (page: Page) => page.getByRole('table', { name: /Versions of the terms/ }).getByRole('row');

test('a form of an older page undoes no edit of somebody else, and keeps what was typed', async ({ page, context, pageErrors }) => {
  await signIn(page);
  await open(page, '/partners/railway');
  const other = await context.newPage();
  await open(other, '/partners/railway');
  const [name, description] = [page.getByLabel('Name', { exact: true }), page.getByLabel('Description')];
  const before = { name: await name.inputValue(), description: await description.inputValue() };
  await other.getByLabel('Name', { exact: true }).fill('Railway of another');
  await save(other);
  await expect(other.getByText('The partner is saved.')).toBeVisible();

  await description.fill('Typed on an older page');
  await save(page);
  await expect(page.getByRole('alert')).toContainText('Somebody else has changed');
  await expect(description).toHaveValue('Typed on an older page');
  await expect(name, 'a field that was left alone follows').toHaveValue('Railway of another');
  expect(await sql("select display_name, description from partners where partner_id = 'railway'")).toBe(`Railway of another|${before.description}`);
  await expectAccessible(page);
  pageErrors.length = 0;

  await name.fill(before.name);
  await description.fill(before.description);
  await save(page);
  await expect(page.getByText('The partner is saved.')).toBeVisible();
  expect(await sql("select display_name, description from partners where partner_id = 'railway'")).toBe(`${before.name}|${before.description}`);
});

test('new terms over an older version bring no old rate back, and what has not begun is withdrawn', async ({ page, context, pageErrors }) => {
  await signIn(page);
  await open(page, '/partners/railway');
  const other = await context.newPage();
  await open(other, '/partners/railway');
  const count = await versions(page).count();
  const [rate, hold, from] = [page.getByLabel('Commission rate, %'), page.getByLabel('Hold period, days'), page.getByLabel('In force from (UTC)')];
  await other.getByLabel('Commission rate, %').fill('33');
  await other.getByLabel('In force from (UTC)').fill('2099-01-01T00:00');
  await addTerms(other);
  await expect(other.getByText('The new terms are saved')).toBeVisible();

  await hold.fill('44');
  await from.fill('2099-02-01T00:00');
  await addTerms(page);
  await expect(page.getByRole('alert')).toContainText('Somebody else has changed the terms');
  await expect(rate, 'the rate that was left alone follows').toHaveValue('33');
  await expect(hold).toHaveValue('44');
  await expect(from).toHaveValue('2099-02-01T00:00');
  pageErrors.length = 0;
  await addTerms(page);
  await expect(versions(page)).toHaveCount(count + 2);
  await expect(versions(page).nth(1)).toContainText('33');
  await expectAccessible(page);

  const coming = page.getByRole('region', { name: 'Terms to come' });
  for (const left of [1, 0]) {
    await coming.locator('summary').first().click();
    await coming.getByRole('button', { name: 'Withdraw it' }).first().click();
    await expect(page.getByText('The terms are withdrawn')).toBeVisible();
    await expect(versions(page)).toHaveCount(count + left);
  }
  await expect(coming).toHaveCount(0);
  expect(await sql("select count(*) from audit_entries where action = 'partner.terms_withdrawn' and subject = 'partner railway'")).toBe('2');
});

async function makeToken(page: Page): Promise<void> {
  await page.locator('summary').filter({ hasText: 'Make new secret' }).click();
  await page.getByLabel('What it is for').selectOption('postback');
  await page.getByRole('button', { name: 'Make it now' }).click();
}

test('a tracker is set up in the browser, and a third token never ends one that is in use', async ({ page, pageErrors }) => {
  await signIn(page);
  await open(page, '/partners/figma');
  await makeToken(page);
  const token = (await page.getByLabel('New postback token', { exact: true }).innerText()).trim();
  expect(token).toMatch(/^pb_/);
  await makeToken(page);
  await makeToken(page);
  await expect(page.getByRole('alert')).toContainText('2 active postback secrets');
  pageErrors.length = 0;

  const shown = (await page.getByLabel('Postback URL', { exact: true }).innerText()).trim();
  expect(shown).toContain('/postback/figma?token=TOKEN&click_id=CLICK_ID');
  const order = `tracked_${Date.now()}`;
  const postback = (secret: string) =>
    page.request.get(`/postback/figma?token=${secret}&user_id=somebody&txid=${order}&amount=5.00&currency=USD`);
  expect((await postback('pb_somebody_elses')).status()).toBe(401);
  const answer = await postback(token);
  expect(answer.status()).toBe(200);
  const { id } = (await answer.json()) as { id: string };
  await open(page, `/deliveries/${id}`);
  await expect(page.locator('#delivery-story')).toContainText('/postback/figma');
  await open(page, '/partners/figma');
  await expect(page.getByRole('region', { name: 'Refused at the door' }).getByRole('row').filter({ hasText: 'token is missing or wrong' })).toBeVisible();
  await expectAccessible(page);
  const listed = await orchestrator('secret', 'list', 'figma');
  expect(listed.stdout.match(/ postback .*, active/g)).toHaveLength(2);
});

test('webhooks that are signed with another secret are seen by the operator', async ({ page }) => {
  await signIn(page);
  const body = event('conversion.created', { conversion_id: 'never', occurred_at: new Date().toISOString(), amount: '5.00', currency: 'USD' });
  const secret = `whsec_${Buffer.from('another secret than ours').toString('base64')}`;
  for (const id of ['msg_wrong_1', 'msg_wrong_2']) expect((await sendWebhook('figma', { id, body, secret })).status).toBe(401);
  expect((await fetch(`${app.baseUrl}/webhooks/figma/no-such-path`, { method: 'POST', body })).status).toBe(404);

  await open(page, '/deliveries?partner=figma');
  const refused = page.getByRole('table', { name: 'What was refused, the newest first' }).getByRole('row');
  await expect(refused.filter({ hasText: 'No signature matches' })).toContainText('/webhooks/figma/events');
  await expect(refused.filter({ hasText: 'There is no such path' })).toBeVisible();
  await expect(page.getByText('no-such-path'), 'what strangers make up is not repeated').toHaveCount(0);
  await expectAccessible(page);
  await open(page, '/deliveries?partner=railway');
  await expect(refused.filter({ hasText: '/webhooks/figma' })).toHaveCount(0);
});

for (const [device, width, height] of [
  ['desktop', 1440, 900],
  ['phone', 390, 844],
] as const) {
  test(`on a ${device}, an open question and what was refused fit, in dark colours too`, async ({ page }) => {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: 'dark' });
    await signIn(page);
    for (const path of ['/partners/figma', '/deliveries?partner=figma']) {
      await open(page, path);
      const question = page.locator('summary').filter({ hasText: 'Make new secret' });
      if (path.startsWith('/partners')) await question.click();
      await expectAccessible(page);
      expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(width);
    }
  });
}
