// From a success that one of our services states to the commission that it raises, and to a case study that may be published.
import { app, orchestrator, sql } from '../support/app.ts';
import { addSite, event, newSecret, personsBrowser, sendWebhook, signIn, type Site } from '../support/product.ts';
import { expect, expectAccessible, open, test } from '../support/test.ts';

/** A new token for one of our services. */
async function newToken(scope: string): Promise<string> {
  const { code, stdout, stderr } = await orchestrator('token', 'create', `test of ${scope}`, '--scope', scope);
  expect(code, stderr).toBe(0);
  return stdout.trim();
}

const post = (token: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${app.baseUrl}/api/v1/successes`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
  });

const codeOf = (site: Site) => site.links.find((link) => link.partner_id === 'supabase')?.referral_code ?? '';

function success(site: Site, id: string, metric: string): Record<string, unknown> {
  return {
    partner: 'supabase',
    metric,
    external_event_id: id,
    referral_code: codeOf(site),
    occurred_at: new Date().toISOString(),
    value: { amount: '1500.00', currency: 'USD' },
    evidence: {
      project_id: id,
      user_id: 'u',
      table_name: 't',
      creation_date: '2026-11-22',
      deployment_url: 'https://shop.example',
      deployment_date: '2026-11-22',
    },
  };
}

/** A sale of 100 dollars, after a click on the site's link. */
async function sell(site: Site, order: string): Promise<void> {
  const alias = site.links.find((link) => link.partner_id === 'supabase')?.alias ?? '';
  const redirect = await fetch(`${app.baseUrl}/r/${alias}`, { redirect: 'manual', headers: { 'user-agent': personsBrowser } });
  const clickId = new URL(redirect.headers.get('location') ?? '').searchParams.get('click_id');
  const secret = await newSecret('supabase');
  const body = event('conversion.created', { conversion_id: order, occurred_at: new Date().toISOString(), amount: '100.00', currency: 'USD', click_id: clickId });
  // Processes keep secrets for some seconds.
  await expect(async () => expect((await sendWebhook('supabase', { id: `msg_${order}`, body, secret })).status).toBe(200)).toPass();
  await expect.poll(() => sql(`select state from conversions where external_event_id = '${order}'`)).toBe('attributed');
}

test('a success of the API waits, an operator verifies it, and the commission is adjusted', async ({ page }) => {
  const site = await addSite(`Successes ${Date.now()}`);
  const [order, id] = [`inv_success_${Date.now()}`, `deployed_${Date.now()}`];
  await sell(site, order);
  const token = await newToken('successes:write');
  const stated = success(site, id, 'production_deployment');
  const first = await post(token, stated);
  expect(first.status, await first.clone().text()).toBe(201);
  const answer = (await first.json()) as Record<string, unknown>;
  expect(answer).toMatchObject({ partner: 'supabase', metric: 'production_deployment', state: 'unverified', verified_by: null });
  const again = await post(token, stated);
  expect([again.status, await again.json()]).toEqual([200, answer]);
  const sameEvidence = await post(token, { ...stated, external_event_id: `${id}_again` });
  expect([sameEvidence.status, await sameEvidence.json()]).toEqual([200, answer]);

  await signIn(page);
  await open(page, '/successes');
  const waiting = page.getByRole('region', { name: 'Verification queue' }).getByRole('row').filter({ hasText: id });
  await expect(waiting).toContainText('unverified');
  await expectAccessible(page);
  await waiting.getByRole('link', { name: 'Production Deployment' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Production Deployment' })).toBeVisible();
  const conversion = page.getByRole('row').filter({ hasText: order });
  await expect(conversion).toContainText('$20.00');
  await expectAccessible(page);

  await page.getByRole('button', { name: 'Reject' }).click();
  await expect(page.getByText('say why')).toBeVisible();
  await page.getByLabel('Reason').fill('The shop answers.');
  await page.getByRole('button', { name: 'Verify' }).click();
  await expect(page.getByText('The success is verified')).toBeVisible();
  await expect(page.locator('#success-story')).toContainText('The shop answers.');
  // 20.00 × 1.5 and a bonus of 20.00 × 0.30; the entry that came later is of 10.00
  await expect(conversion).toContainText('$36.00');
  await expect(conversion).toContainText('$10.00');
  await expect(page.locator('#success-story')).toContainText('× 1.5');
  await expectAccessible(page);
  expect(await sql(`select count(*) from ledger_transactions t join conversions using (conversion_id) where external_event_id = '${order}' and kind = 'adjustment'`)).toBe('1');
  const books = await orchestrator('ledger', 'verify');
  expect(books.code, books.stdout + books.stderr).toBe(0);
});

test('what is wrong with a success is named, and nothing is stored', async () => {
  const site = await addSite(`Wrong successes ${Date.now()}`);
  const stated = success(site, `wrong_${Date.now()}`, 'production_deployment');
  const [token, other] = [await newToken('successes:write'), await newToken('sites:write')];
  const stored = () => sql('select (select count(*) from success_events), (select count(*) from webhook_deliveries)');
  const before = await stored();
  const refused = async (body: unknown, with_ = token) => {
    const problem = (await (await post(with_, body)).json()) as { status: number; field?: string };
    return [problem.status, problem.field];
  };
  expect(await refused({ ...stated, partner: undefined })).toEqual([422, 'partner']);
  expect(await refused({ ...stated, partner: 'nobody' })).toEqual([422, 'partner']);
  expect(await refused({ ...stated, metric: 'first_invite_sent' })).toEqual([422, 'metric']);
  expect(await refused({ ...stated, value: { amount: 5, currency: 'USD' } })).toEqual([422, 'value.amount']);
  expect(await refused({ ...stated, evidence: { ...(stated['evidence'] as object), deployment_url: 'shop' } })).toEqual([422, 'evidence.deployment_url']);
  expect(await refused({ ...stated, occured_at: 'now' })).toEqual([422, 'occured_at']);
  expect(await refused({ ...stated, referral_code: 'p4s_00000000_supabase_000000' })).toEqual([422, 'click_id']);
  expect(await refused({ ...stated, referral_code: undefined, user_identifier: `nobody_${Date.now()}` })).toEqual([422, 'user_identifier']);
  expect(await refused('no object')).toEqual([400, undefined]);
  expect(await refused('x'.repeat(70_000))).toEqual([413, undefined]);
  expect(await refused(stated, other)).toEqual([403, undefined]);
  expect(await stored()).toBe(before);
});

test('filters of successes that make no sense are named, and a search that finds nothing says so', async ({ page, pageErrors }) => {
  await signIn(page);
  await open(page, '/successes?state=lost');
  await expect(page.getByRole('alert')).toContainText('no state of a success');
  await page.getByRole('link', { name: 'Show all successes' }).click();
  await page.getByLabel('Search').fill('nothing like this & that');
  await page.getByRole('button', { name: 'Show', exact: true }).click();
  await expect(page).toHaveURL(/search=nothing/);
  await expect(page.getByText('No success fits')).toBeVisible();
  await expect(page.getByLabel('Search')).toHaveValue('nothing like this & that');
  await open(page, '/successes/unknown');
  await expect(page.getByRole('alert')).toContainText('was not found');
  pageErrors.length = 0;
});

test('a case study is drafted from the data, published with consent only, and downloaded', async ({ page }) => {
  const site = await addSite(`Case study ${Date.now()}`);
  const name = `Developer ${codeOf(site).split('_')[1]}`;
  const token = await newToken('successes:write');
  for (const number of [1, 2, 3]) {
    const answer = await post(token, success(site, `case_${Date.now()}_${number}`, number === 1 ? 'project_created' : 'first_table_created'));
    expect(answer.status, await answer.clone().text()).toBe(201);
  }
  await signIn(page);
  await open(page, '/case-studies');
  await expectAccessible(page);
  await page.getByRole('button', { name: `Draft the case study of ${name}` }).click();
  await expect(page.getByRole('heading', { level: 1, name: `${name} and Supabase` })).toBeVisible();
  const figures = page.getByRole('table', { name: 'Figures of the case study' });
  await expect(figures.getByRole('row').filter({ hasText: 'Value created (USD)' })).toContainText('$4,500.00');
  await expect(figures).toContainText('state verified');
  await expect(page.getByRole('img', { name: /Steps over time: 3/ })).toBeVisible();
  await expectAccessible(page);

  await page.getByLabel('Title').fill('Three steps <b>to a shop</b>');
  await page.getByRole('button', { name: 'Save the texts' }).click();
  await expect(page.getByText('The texts are saved.')).toBeVisible();
  await expect(page.getByRole('heading', { level: 3, name: 'Three steps <b>to a shop</b>' })).toBeVisible();

  await page.getByRole('button', { name: 'Publish' }).click();
  await expect(page.getByText('has not consented to be written about: record the consent first')).toBeVisible();
  const id = new URL(page.url()).pathname.split('/').pop();
  expect((await page.request.get(`/case-studies/${id}/export/html`)).status()).toBe(409);
  await page.getByLabel('How the developer told us').fill('letter of 22 November');
  await page.getByRole('button', { name: 'Record the consent' }).click();
  await expect(page.getByText('The consent is recorded.')).toBeVisible();
  await page.getByRole('button', { name: 'Publish' }).click();
  await expect(page.getByText('The case study is published and can be downloaded.')).toBeVisible();
  await expectAccessible(page);

  const html = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Download HTML' }).click();
  expect((await html).suggestedFilename()).toBe(`case-study-${id}.html`);
  const exported = await (await page.request.get(`/case-studies/${id}/export/html`)).text();
  expect(exported).toContain('Three steps &lt;b&gt;to a shop&lt;/b&gt;');
  expect(await (await page.request.get(`/case-studies/${id}/export/markdown`)).text()).toContain('$4,500.00');
  const anonymous = await fetch(`${app.baseUrl}/case-studies/${id}/export/html`, { redirect: 'manual' });
  expect([anonymous.status, anonymous.headers.get('location')]).toEqual([303, `/sign-in?next=/case-studies/${id}`]);
  await open(page, '/case-studies');
  await expect(page.getByRole('row').filter({ hasText: name })).toContainText('published');
});

test('on a phone the pages of successes and case studies do not scroll sideways', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await signIn(page);
  for (const path of ['/successes', '/case-studies']) {
    await open(page, path);
    await expectAccessible(page);
    expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(390);
    await page.locator('table tbody a').first().click();
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(390);
  }
});
