// The product's main job on real input: a project goes in, offers come out, a click is counted and attributed, the commission is booked and seen.
import { app, orchestrator, sql } from '../support/app.ts';
import { addSite, event, newSecret, personsBrowser, sendWebhook, signIn } from '../support/product.ts';
import { expect, test, watchErrors } from '../support/test.ts';

test.use({ userAgent: personsBrowser });

/** What the specification allows between acknowledgement and an open browser. */
const SEEN_MS_MAX = 1000;

test('a real project gets offers, a click on one becomes a commission, and an open dashboard shows it within a second', async ({ page, context, browser, pageErrors }) => {
  const name = `Corner shop ${Date.now()}`;
  const order = `inv_${Date.now()}`;
  const site = await test.step('a project from npm is analysed', () => addSite(name));
  const secret = await newSecret('supabase');

  // A partner's answer, so that nothing leaves the machine. What is redirected cannot be intercepted, so that the redirect is followed by a page.
  const redirects: { status: number; location: string }[] = [];
  await context.route('**/r/**', async (route) => {
    const answer = await route.fetch({ maxRedirects: 0 });
    const location = answer.headers().location ?? '';
    redirects.push({ status: answer.status(), location });
    await route.fulfill({ contentType: 'text/html', body: `<title>On the way</title><script>location.replace(${JSON.stringify(location)})</script>` });
  });
  await context.route(
    (url) => url.origin !== app.baseUrl,
    (route) => route.fulfill({ contentType: 'text/html', body: '<!DOCTYPE html><title>The partner</title><h1>Welcome from project4site</h1>' }),
  );

  const offers = page.getByRole('region', { name: 'Partner offers' });
  const offer = offers.getByRole('listitem').filter({ hasText: 'Supabase' });
  await test.step('the widget on the demo page shows offers with reasons, and logs what was seen', async () => {
    const reported = page.waitForRequest((request) => request.url().endsWith('/api/v1/impressions') && (request.postData() ?? '').includes('supabase'));
    await page.goto(`/demo?site=${site.site_id}`);
    await expect(page.getByRole('heading', { level: 1 })).toHaveText(name);
    await offer.scrollIntoViewIfNeeded();
    await expect(offer).toContainText('SQLite');
    await expect(offer).toContainText('package.json');
    await expect(offers).toContainText('project4site may earn a commission');
    await reported;
    const seen = () => sql(`select count(*) from impressions where site_id = '${site.site_id}' and partner_id = 'supabase'`);
    await expect.poll(seen).toBe('1');
  });

  const clickId = await test.step('a click lands on the partner with a click id', async () => {
    const opened = context.waitForEvent('page');
    await offer.getByRole('link').click();
    const partner = await opened;
    await partner.waitForURL((url) => url.hostname === 'supabase.com');
    await expect(partner.getByRole('heading')).toHaveText('Welcome from project4site');
    const landed = new URL(partner.url());
    expect(redirects).toEqual([{ status: 302, location: landed.href }]);
    const token = landed.searchParams.get('click_id') ?? '';
    expect(token).toMatch(/^[\w-]{40,200}$/);
    expect(landed.href).not.toContain(encodeURIComponent(`developer of ${name}`));
    await partner.close();
    expect(await sql(`select count(*) from clicks where site_id = '${site.site_id}' and counted and recommendation_id is not null`)).toBe('1');
    return token;
  });

  const desk = await browser.newContext();
  const dashboard = await desk.newPage();
  watchErrors(dashboard, pageErrors);
  const row = dashboard.getByRole('row').filter({ hasText: name });
  await test.step('an operator has the dashboard open', async () => {
    await signIn(dashboard);
    await expect(dashboard.getByRole('status').filter({ hasText: 'Live' })).toBeVisible();
    await expect(row).toHaveCount(0);
  });

  const occurredAt = new Date().toISOString();
  const conversion = {
    id: `msg_${order}`,
    body: event('conversion.created', { conversion_id: order, occurred_at: occurredAt, amount: '49.00', currency: 'USD', click_id: clickId }),
    secret,
  };
  await test.step('the signed conversion is on the open dashboard within a second, with 20 % of 49 dollars', async () => {
    const answer = await sendWebhook('supabase', conversion);
    const acknowledged = performance.now();
    expect(answer.status, await answer.clone().text()).toBe(200);
    await expect(row).toContainText('$9.80', { timeout: SEEN_MS_MAX });
    const took = performance.now() - acknowledged;
    test.info().annotations.push({ type: 'seen after', description: `${took.toFixed(0)} ms` });
    expect(took).toBeLessThan(SEEN_MS_MAX);
    await expect(row).toContainText('$49.00');
    await expect(row).toContainText('click token');
  });

  await test.step('its receipt repeats the arithmetic', async () => {
    const { code, stdout } = await orchestrator('explain', order);
    expect(code, stdout).toBe(0);
    expect(stdout).toContain('0.2');
    expect(stdout).toMatch(/derived +\$9\.80/);
    expect(stdout).toContain('the ledger, the saved rating and the derivation agree');
  });

  await test.step('the same message again has no second effect, and a partial refund takes back its share', async () => {
    const again = await sendWebhook('supabase', { ...conversion, sentAt: new Date() });
    expect(again.status).toBe(200);
    expect(await again.json()).toMatchObject({ duplicate: true });
    const refund = event('conversion.reversed', { conversion_id: order, occurred_at: new Date().toISOString(), amount: '19.00', currency: 'USD', reversal_id: `re_${order}` });
    expect((await sendWebhook('supabase', { id: `msg_re_${order}`, body: refund, secret })).status).toBe(200);
    await expect(row).toContainText('$6.00', { timeout: SEEN_MS_MAX });
    await expect(row).toHaveCount(1);
    expect(await sql(`select count(*) from conversions where external_event_id = '${order}'`)).toBe('1');
  });

  await test.step('the books hold', async () => {
    const { code, stdout, stderr } = await orchestrator('ledger', 'verify');
    expect(code, stdout + stderr).toBe(0);
  });
  await desk.close();
});
