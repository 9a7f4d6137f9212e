// A test of the button's text from the idea to the decision: written down, planned, started, seen by visitors, decided, and shipped.
import { app, orchestrator, sql } from '../support/app.ts';
import { addSite, personsBrowser, signIn, type Site } from '../support/product.ts';
import { expect, expectAccessible, open, test, watchErrors, type Page } from '../support/test.ts';
import type { Browser } from '@playwright/test';

const partner = 'supabase';
/** What the variants show; the widget writes the partner's name in the place of `{partner}`. */
const texts = { control: 'Have a look at {partner}', b: 'Start free with {partner}' };
const shown = { control: 'Have a look at Supabase Database', b: 'Start free with Supabase Database' };

/** Each of so many visitors clicks: one in ten of the control's, four in ten of the variant's. */
const clicks = { control: 1, b: 4 };
const simulatedVisitors = 400;

interface Offer {
  partnerId: string;
  ctaText: string;
  url: string;
}

interface Answer {
  recommendationId: string;
  offers: Offer[];
  keepsVisitor: boolean;
}

/** The offers that a visitor's widget would get. */
async function ask(site: Site, visitor: string): Promise<Answer> {
  const answer = await fetch(`${app.baseUrl}/api/v1/sites/${site.site_id}/recommendations?visitor=${visitor}`);
  expect(answer.status).toBe(200);
  return (await answer.json()) as Answer;
}

function offerOf(answer: Answer): Offer {
  const offer = answer.offers.find(({ partnerId }) => partnerId === partner);
  if (offer === undefined) throw new Error(`${partner} is not offered`);
  return offer;
}

/** Visitors see the offer, and some of them click, as many of each variant as `clicks` says. Answers how many saw each. */
async function simulate(site: Site, visitors: string[]): Promise<{ control: number; b: number }> {
  const seen = { control: 0, b: 0 };
  const queue = [...visitors];
  const visit = async () => {
    for (let visitor = queue.pop(); visitor !== undefined; visitor = queue.pop()) {
      const answer = await ask(site, visitor);
      const { ctaText, url } = offerOf(answer);
      const variant = ctaText === shown.b ? 'b' : 'control';
      expect(ctaText).toBe(shown[variant]);
      const body = JSON.stringify({ recommendationId: answer.recommendationId, partnerIds: [partner] });
      expect((await fetch(`${app.baseUrl}/api/v1/impressions`, { method: 'POST', body, headers: { 'user-agent': personsBrowser } })).status).toBe(204);
      if (seen[variant]++ % 10 < clicks[variant]) {
        const click = await fetch(new URL(url, app.baseUrl), { redirect: 'manual', headers: { 'user-agent': personsBrowser } });
        expect(click.status).toBe(302);
      }
    }
  };
  await Promise.all(Array.from({ length: 8 }, visit));
  return seen;
}

/** Somebody else's browser on the demo page. */
async function visitDemo(browser: Browser, site: Site, errors: string[], options: { asksNotToBeTracked?: boolean; query?: string } = {}): Promise<Page> {
  const headers: Record<string, string> = options.asksNotToBeTracked ? { dnt: '1' } : {};
  const context = await browser.newContext({ userAgent: personsBrowser, extraHTTPHeaders: headers });
  if (options.asksNotToBeTracked) await context.addInitScript(() => Object.defineProperty(navigator, 'doNotTrack', { value: '1' }));
  const page = await context.newPage();
  watchErrors(page, errors);
  await page.goto(`/demo?site=${site.site_id}${options.query ?? ''}`);
  return page;
}

const offerOn = (page: Page) => page.getByRole('region', { name: 'Partner offers' }).getByRole('listitem').filter({ hasText: 'Supabase' });
const buttonOn = (page: Page) => offerOn(page).getByRole('link');
/** The demo page names its site in its address. */
const keptVisitor = (page: Page) => page.evaluate(() => localStorage.getItem(`p4s_visitor:${new URLSearchParams(location.search).get('site')}`));

/** Scrolls to the offer and waits until the widget has reported it as seen. */
async function see(page: Page): Promise<void> {
  const reported = page.waitForResponse((answer) => answer.url().endsWith('/api/v1/impressions') && (answer.request().postData() ?? '').includes(partner));
  await offerOn(page).scrollIntoViewIfNeeded();
  expect((await reported).status()).toBe(204);
}

/** Fills the editor with a test of the button on one site and saves the draft. */
async function writeDown(page: Page, site: { name: string }, key: string): Promise<void> {
  await open(page, '/experiments/new');
  const subject = page.getByRole('region', { name: 'What is tried' });
  await subject.getByLabel('Name').fill(`Words of the button ${key}`);
  await subject.getByLabel('Key').fill(key);
  await subject.getByLabel('Hypothesis').fill('Whoever reads that it is free clicks more often.');
  await subject.getByLabel('Kind').selectOption('cta');
  await page.getByRole('group', { name: 'Control' }).getByLabel('Text').fill(texts.control);
  const variant = page.getByRole('group', { name: 'Variant 2' });
  await variant.getByLabel('Name').fill('Says it is free');
  await variant.getByLabel('Text').fill(texts.b);
  const part = page.getByRole('region', { name: 'Who takes part' });
  await part.locator('summary').filter({ hasText: 'Partners' }).click();
  await part.getByLabel('Supabase Database').check();
  await part.locator('summary').filter({ hasText: 'Sites' }).click();
  await part.getByLabel(site.name, { exact: true }).check();
}

test('a test is written down, planned, started, seen live, decided on a true effect and shipped', async ({ page, browser, pageErrors }) => {
  test.setTimeout(180_000);
  const key = `words-${Date.now()}`;
  const name = `Experiment ${key}`;
  const site = await addSite(name);
  await signIn(page);

  await test.step('an operator writes it down, plans it, and saves a draft', async () => {
    await writeDown(page, { name }, key);
    const plan = page.getByRole('region', { name: 'Plan', exact: true });
    await plan.getByLabel('Smallest lift worth finding, %').fill('100');
    await plan.getByLabel('Planned units').fill('1000');
    const planner = page.getByRole('region', { name: 'Planner' });
    await planner.getByLabel('Metric without the test').fill('10');
    await planner.getByLabel('Units a day').fill('200');
    await planner.getByRole('button', { name: 'Compute' }).click();
    const takes = page.getByRole('table', { name: 'What the test takes' });
    await expect(takes.getByRole('row').filter({ hasText: 'As planned now' })).toContainText(/1,000.*5 days/);
    await expect(page.getByRole('region', { name: 'Planner' })).toContainText('find a lift of');
    await expect(page.getByRole('group', { name: 'Variant 2' }).getByLabel('Text'), 'what was typed is still there').toHaveValue(texts.b);
    await page.getByRole('button', { name: 'Save the draft' }).last().click();
    await expect(page.getByText('The test is saved as a draft.')).toBeVisible();
    await expectAccessible(page);
    expect(offerOf(await ask(site, 'visitor-of-a-draft')).ctaText, 'nobody sees a draft').not.toBe(shown.b);
  });

  const verdict = page.getByRole('region', { name: 'Verdict' });
  await test.step('it is started, and nobody has seen it yet', async () => {
    await page.getByRole('button', { name: 'Start the test' }).click();
    await expect(page.getByText('The test runs, at once and everywhere.')).toBeVisible();
    await expect(page.getByText('Nobody has seen it yet')).toBeVisible();
    await expect(page.getByRole('status').filter({ hasText: 'Live' })).toBeVisible();
    await page.evaluate(() => Object.assign(window, { isTheSamePage: true }));
  });

  const visitors: Page[] = [];
  await test.step('each visitor of the demo page is there at once, and one who asks not to be tracked is not', async () => {
    for (const count of [1, 2, 3]) {
      const visitor = await visitDemo(browser, site, pageErrors);
      visitors.push(visitor);
      await see(visitor);
      await expect(verdict).toContainText(`${count} of 1,000 planned units`);
    }
    const stranger = await visitDemo(browser, site, pageErrors, { asksNotToBeTracked: true });
    await see(stranger);
    expect(Object.values(shown)).not.toContain(await buttonOn(stranger).innerText());
    expect(await keptVisitor(stranger)).toBeNull();
    await stranger.context().close();
    expect(await page.evaluate(() => 'isTheSamePage' in window), 'it was never loaded anew').toBe(true);
    await expect(verdict).toContainText('too few units');
  });

  await test.step('who comes back sees the same, and the page says why', async () => {
    const [visitor] = visitors;
    if (visitor === undefined) throw new Error('nobody came');
    const id = await keptVisitor(visitor);
    const text = (await buttonOn(visitor).innerText()).replace(/\s*→$/, '');
    expect(Object.values(shown)).toContain(text);
    await visitor.reload();
    await see(visitor);
    await expect(buttonOn(visitor)).toContainText(text);
    expect(await keptVisitor(visitor)).toBe(id);

    const { stdout } = await orchestrator('token', 'create', `reader of ${key}`, '--scope', 'experiments:read');
    const told = await fetch(`${app.baseUrl}/api/v1/experiments/assignments?site=${site.site_id}&visitor=${id}`, { headers: { authorization: `Bearer ${stdout.trim()}` } });
    const { assignments } = (await told.json()) as { assignments: { experiment: string; variant: 'control' | 'b'; reason: string }[] };
    const own = assignments.find(({ experiment }) => experiment === key);
    expect(own).toMatchObject({ reason: 'assigned' });
    expect(own && shown[own.variant]).toBe(text);
  });

  await test.step('a true effect changes the verdict on the open page', async () => {
    const seen = await simulate(site, Array.from({ length: simulatedVisitors }, (_, number) => `simulated-${key}-${number}`));
    expect(Math.min(seen.control, seen.b)).toBeGreaterThan(100);
    await expect(verdict).toContainText(`${simulatedVisitors + 3} of 1,000 planned units`);
    await expect(verdict).toContainText('winner');
    await expect(verdict).toContainText(/Says it is free wins: \+\d/);
    expect(await page.evaluate(() => 'isTheSamePage' in window), 'it was never loaded anew').toBe(true);
    expect(await sql(`select count(*) from experiment_exposures join experiments using (experiment_id) where key = '${key}'`)).toBe(String(simulatedVisitors + 3));
  });

  await test.step('its figures are there, and the page is accessible', async () => {
    await open(page, `/experiments/${key}`);
    await expect(page.getByRole('region', { name: 'Click rate' })).toContainText('Says it is free');
    await expect(page.getByRole('region', { name: 'Lift of Says it is free' })).toBeVisible();
    await expectAccessible(page);
  });

  await test.step('nothing is preselected; the winner is shipped by hand', async () => {
    await page.locator('summary').filter({ hasText: 'Stop and ship' }).click();
    const choices = page.getByRole('radio');
    await expect(choices).toHaveCount(2);
    for (const choice of await choices.all()) await expect(choice).not.toBeChecked();
    const ship = page.getByRole('button', { name: 'Stop the test and ship it' });
    await ship.click();
    expect(await sql(`select status from experiments where key = '${key}'`), 'without a choice nothing happens').toBe('running');
    await page.getByRole('radio', { name: /Says it is free/ }).check();
    await ship.click();
    await expect(page.getByText('It is shipped: the next recommendation uses it.')).toBeVisible();
    await expect(page.getByText('“Says it is free” was shipped')).toBeVisible();
  });

  await test.step('every widget shows it, and nothing is kept of its visitors any more', async () => {
    for (const visitor of visitors) {
      await visitor.reload();
      await expect(buttonOn(visitor)).toContainText(shown.b);
      expect(await keptVisitor(visitor)).toBeNull();
    }
    const stranger = await visitDemo(browser, site, pageErrors, { asksNotToBeTracked: true });
    await expect(buttonOn(stranger)).toContainText(shown.b);
  });

  await test.step('the log tells who decided what', async () => {
    await open(page, `/experiments/${key}/log`);
    const log = page.locator('#experiment-log');
    for (const action of ['experiment.created', 'experiment.started', 'experiment.shipped']) await expect(log).toContainText(action);
    await expect(log).toContainText(app.email);
  });

  // Other journeys shall find the offers as they were.
  await sql('delete from recommendation_defaults; update experiment_revision set revision = revision + 1');
});

test('a draft is looked at on the demo page by who is signed in, and counts nothing', async ({ page, browser, pageErrors }) => {
  const key = `look-${Date.now()}`;
  const name = `Experiment ${key}`;
  const site = await addSite(name);
  await signIn(page);
  await writeDown(page, { name }, key);
  await page.getByRole('button', { name: 'Save the draft' }).last().click();
  await expect(page.getByText('The test is saved as a draft.')).toBeVisible();

  const query = `&p4s_variant=${key}:b`;
  await page.goto(`/demo?site=${site.site_id}${query}`);
  await expect(buttonOn(page)).toContainText(shown.b);
  await see(page);
  expect(await keptVisitor(page)).toBeNull();
  expect(await sql(`select count(*) from experiment_exposures join experiments using (experiment_id) where key = '${key}'`)).toBe('0');

  const refusal: string[] = [];
  const stranger = await visitDemo(browser, site, refusal, { query });
  await expect.poll(() => stranger.locator('p4s-offers').evaluate((element) => element.shadowRoot?.childElementCount)).toBe(0);
  await expect.poll(() => refusal.length, 'the browser notes the refusal').toBeGreaterThan(0);
  expect(pageErrors).toEqual([]);
});

test('an edit that was looked at is not confirmed once somebody else has changed the test', async ({ page }) => {
  const key = `both-${Date.now()}`;
  const name = `Experiment ${key}`;
  await addSite(name);
  await signIn(page);
  await writeDown(page, { name }, key);
  const traffic = (editor: Page) => editor.getByRole('region', { name: 'Who takes part' }).getByLabel('Traffic, %');
  const effect = (editor: Page) => editor.getByRole('region', { name: 'What this edit does' });
  await traffic(page).fill('50');
  await page.getByRole('button', { name: 'Save the draft' }).last().click();
  await page.getByRole('button', { name: 'Start the test' }).click();
  await expect(page.getByText('The test runs, at once and everywhere.')).toBeVisible();

  const look = async (editor: Page, share: string) => {
    await open(editor, `/experiments/${key}/edit`);
    await traffic(editor).fill(share);
    await editor.getByRole('button', { name: 'See what this does' }).last().click();
    await expect(effect(editor)).toContainText('Everybody who takes part keeps their variant');
  };
  const confirm = (editor: Page) => effect(editor).getByRole('button', { name: 'Let more units take part' }).click();
  await look(page, '80');
  const other = await page.context().newPage();
  await look(other, '100');
  await confirm(other);
  const stands = () => sql(`select phase || ': ' || (design ->> 'traffic_allocation')::numeric * 100 from experiments where key = '${key}'`);
  await expect.poll(stands).toMatch(/^1: 100/);

  await confirm(page);
  await expect(page.getByRole('alert')).toContainText('The test was changed meanwhile');
  await expect(effect(page), 'against what stands now').toContainText('Phase 1 ends and phase 2 begins');
  await expect(traffic(page), 'what was typed is still there').toHaveValue('80');
  expect(await stands()).toMatch(/^1: 100/);
  await sql(`update experiments set status = 'stopped', stopped_at = now() where key = '${key}'; update experiment_revision set revision = revision + 1`);
});
