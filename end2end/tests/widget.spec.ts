// The widget as site owners and their visitors get it: on another origin, under their policy, in their colours.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { app, projectDir } from '../support/app.ts';
import { addSite, OtherSite, personsBrowser, signIn } from '../support/product.ts';
import { expect, expectAccessible, test, type Page } from '../support/test.ts';

test.use({ userAgent: personsBrowser });

/** Of the script with gzip: what the specification allows. */
const GZIP_BYTES_MAX = 5_000;

let site: string;
test.beforeAll(async () => {
  site = (await addSite('Widget site')).site_id;
});

const script = (attributes = '') => `<script src="${app.baseUrl}/widget.js" ${attributes} async></script>`;
const region = (page: Page) => page.getByRole('region', { name: 'Partner offers' });
const links = (page: Page) => region(page).getByRole('link');

test('the script is at most five kilobytes with gzip, and is served compressed', async ({ request }) => {
  expect(gzipSync(readFileSync(join(projectDir, 'public/widget.js')), { level: 9 }).length).toBeLessThanOrEqual(GZIP_BYTES_MAX);
  const answer = await request.get('/widget.js', { headers: { 'accept-encoding': 'gzip' } });
  expect(answer.headers()['content-type']).toContain('javascript');
  expect(answer.headers()['content-encoding']).toBe('gzip');
  expect(answer.headers()['cross-origin-resource-policy'], 'for pages that isolate themselves').toBe('cross-origin');
  const frame = await request.get(`/embed/${site}`);
  expect(frame.headers()).toMatchObject({ 'cross-origin-resource-policy': 'cross-origin', 'cross-origin-embedder-policy': 'require-corp' });
});

test('one line on a page with the strictest policy shows styled offers and sets no cookie', async ({ page, context }) => {
  const policy = `default-src 'none'; script-src ${app.baseUrl}; connect-src ${app.baseUrl}; require-trusted-types-for 'script'`;
  await using blog = await OtherSite.serve(`<body><h1>A blog</h1>${script(`data-site="${site}"`)}<p>After</p>`, { 'content-security-policy': policy });
  await page.goto(blog.url);
  await expect(links(page).first()).toBeVisible();
  await expect(region(page).getByRole('listitem').first()).toHaveCSS('border-radius', '14px');
  await expect(page.locator('script + p4s-offers + p')).toHaveText('After');
  const link = links(page).first();
  await expect(link).toHaveAttribute('href', new RegExp(`^${app.baseUrl}/r/[^?]+\\?rid=`));
  await expect(link).toHaveAttribute('rel', 'sponsored noopener');
  await expect(link).toHaveAttribute('target', '_blank');
  expect(await context.cookies()).toEqual([]);
});

test('nothing on the page moves while the offers load', async ({ page }) => {
  const reserve = '<style>p4s-offers:not(:defined) { display: block; height: 19em }</style>';
  await using blog = await OtherSite.serve(`${reserve}<body><h1>A blog</h1><p4s-offers site="${site}"></p4s-offers><p id="after">After</p>${script()}`);
  let answer = () => {};
  const held = new Promise<void>((resolve) => (answer = resolve));
  await page.route('**/recommendations?*', async (route) => {
    await held;
    await route.continue();
  });
  await page.addInitScript(() => {
    Object.assign(window, { shifts: [] });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) (window as unknown as { shifts: number[] }).shifts.push((entry as unknown as { value: number }).value);
    }).observe({ type: 'layout-shift', buffered: true });
  });
  await page.goto(blog.url);
  await expect(region(page)).toHaveAttribute('aria-busy', 'true');
  const before = await page.locator('#after').boundingBox();
  answer();
  await expect(links(page).first()).toBeVisible();
  expect(await page.locator('#after').boundingBox()).toEqual(before);
  // Two frames later every shift has been reported.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  expect(await page.evaluate(() => (window as unknown as { shifts: number[] }).shifts)).toEqual([]);
});

for (const layout of ['cards', 'compact']) {
  test(`every offer of the ${layout} layout is reached and opened with the keyboard, with a visible focus`, async ({ page, context }) => {
    await using blog = await OtherSite.serve(`<body><h1>A blog</h1>${script(`data-site="${site}" data-layout="${layout}"`)}`);
    await context.route('**/r/**', (route) => route.fulfill({ contentType: 'text/html', body: '<title>Partner</title>' }));
    await page.goto(blog.url);
    await expect(links(page).first()).toBeVisible();
    for (let place = 0; place < (await links(page).count()); place++) {
      await page.keyboard.press('Tab');
      await expect(links(page).nth(place)).toBeFocused();
      await expect(region(page).getByRole('listitem').nth(place)).toHaveCSS('outline-style', 'solid');
    }
    const opened = context.waitForEvent('page');
    await page.keyboard.press('Enter');
    expect((await opened).url()).toContain(`${app.baseUrl}/r/`);
  });
}

test('if the API fails, is blocked or knows no such site, nothing is shown and no script fails', async ({ page, pageErrors }) => {
  await using blog = await OtherSite.serve(`<body><h1>A blog</h1>${script(`data-site="${site}"`)}<p>After</p>`);
  const failures: Parameters<Page['route']>[1][] = [
    (route) => route.fulfill({ status: 500, body: 'no' }),
    (route) => route.fulfill({ status: 200, contentType: 'text/html', body: '<h1>A captive portal</h1>' }),
    (route) => route.abort(),
    (route) => route.fulfill({ status: 404, json: { code: 'not_found' } }),
    (route) => route.fulfill({ json: { recommendationId: 'x', offers: [] } }),
  ];
  for (const failure of failures) {
    await page.route('**/recommendations?*', failure);
    const asked = page.waitForEvent('requestfinished', (request) => request.url().includes('/recommendations?')).catch(() => undefined);
    const failed = page.waitForEvent('requestfailed', (request) => request.url().includes('/recommendations?')).catch(() => undefined);
    await page.goto(blog.url);
    await Promise.race([asked, failed]);
    await expect.poll(() => page.locator('p4s-offers').evaluate((element) => [element.shadowRoot!.childElementCount, element.getBoundingClientRect().height])).toEqual([0, 0]);
    await page.unroute('**/recommendations?*');
  }
  // The browser itself notes failed requests; the widget adds nothing to them.
  const own = pageErrors.filter((error) => !error.startsWith('Failed to load resource') && !error.includes('blocked by CORS policy'));
  expect(own).toEqual([]);
  pageErrors.length = 0;
});

test('without a theme the page decides, and a theme overrules it', async ({ page }) => {
  const ground = () => region(page).getByRole('listitem').first().evaluate((card) => getComputedStyle(card).backgroundColor);
  const [white, dark] = ['rgb(255, 255, 255)', 'rgb(24, 27, 32)'];
  await page.emulateMedia({ colorScheme: 'dark' });
  for (const [style, attributes, expected] of [
    ['', '', white],
    ['<style>:root { color-scheme: light dark }</style>', '', dark],
    ['', 'data-theme="auto"', dark],
    ['', 'data-theme="dark"', dark],
    ['<style>:root { color-scheme: dark }</style>', 'data-theme="light"', white],
  ] as const) {
    await using blog = await OtherSite.serve(`${style}<body><h1>A blog</h1>${script(`data-site="${site}" ${attributes}`)}`);
    await page.goto(blog.url);
    await expect(links(page).first()).toBeVisible();
    expect(await ground(), `${style} ${attributes}`).toBe(expected);
  }
});

test('somebody who wants no motion gets none', async ({ page }) => {
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await using blog = await OtherSite.serve(`<body><h1>A blog</h1>${script(`data-site="${site}"`)}`);
  await page.goto(blog.url);
  const card = region(page).getByRole('listitem').filter({ has: page.getByRole('link') }).first();
  await expect(card).toHaveCSS('animation-name', 'none');
  await expect(card).toHaveCSS('transition-duration', '0s');
});

test('a single-page application can take the offers out, put them back and change their site', async ({ page }) => {
  const other = (await addSite('Another widget site')).site_id;
  await using blog = await OtherSite.serve(`<body><h1>A blog</h1><main><p4s-offers site="${site}" limit="1"></p4s-offers></main>${script()}`);
  const asked: string[] = [];
  page.on('request', (request) => {
    const found = /sites\/([^/]+)\/recommendations/.exec(request.url());
    if (found?.[1] !== undefined) asked.push(found[1]);
  });
  await page.goto(blog.url);
  await expect(links(page)).toHaveCount(1);
  await page.evaluate(() => {
    const element = document.querySelector('p4s-offers')!;
    Object.assign(window, { element });
    element.remove();
  });
  await expect(links(page)).toHaveCount(0);
  await page.evaluate(() => document.querySelector('main')!.append((window as unknown as { element: Element }).element));
  await expect(links(page)).toHaveCount(1);
  expect(asked, 'what was loaded stays').toEqual([site]);
  await page.locator('p4s-offers').evaluate((element, id) => element.setAttribute('site', id), other);
  await expect.poll(() => asked).toEqual([site, other]);
  await expect(links(page)).toHaveCount(1);
  // A router may run the line again on its next page.
  await page.evaluate(([source, id]) => {
    const again = Object.assign(document.createElement('script'), { src: source });
    again.dataset.site = id;
    document.body.append(again);
  }, [`${app.baseUrl}/widget.js`, site] as const);
  await expect(region(page)).toHaveCount(2);
});

test('a page that a router restores, with its offers and the line that runs again, has one block', async ({ page }) => {
  await using blog = await OtherSite.serve(`<body><h1>A blog</h1>${script(`data-site="${site}"`)}`);
  await page.goto(blog.url);
  await expect(links(page).first()).toBeVisible();
  await page.evaluate(async () => {
    const [line, block] = [document.querySelector('script')!, document.querySelector('p4s-offers')!];
    const again = Object.assign(document.createElement('script'), { src: line.src });
    again.dataset.site = line.dataset.site;
    const ran = new Promise((resolve) => again.addEventListener('load', resolve));
    document.body.replaceChildren(again, block.cloneNode(true));
    await ran;
  });
  await expect(links(page).first()).toBeVisible();
  await expect(page.locator('p4s-offers')).toHaveCount(1);
});

test('the block is English and runs from left to right on any page', async ({ page }) => {
  await using blog = await OtherSite.serve(`<body dir="rtl" lang="ar"><h1>مدونة</h1>${script(`data-site="${site}"`)}`);
  await page.goto(blog.url);
  await expect(links(page).first()).toBeVisible();
  await expect(region(page)).toHaveAttribute('lang', 'en');
  await expect(region(page)).toHaveCSS('direction', 'ltr');
});

test('a report that the browser could not queue is made again', async ({ page }) => {
  await using blog = await OtherSite.serve(`<body><h1>A blog</h1>${script(`data-site="${site}"`)}`);
  await page.clock.install();
  await page.addInitScript(() => {
    const queue = navigator.sendBeacon.bind(navigator);
    let tries = 0;
    Object.defineProperty(navigator, 'sendBeacon', { value: (url: string, body: string) => tries++ > 0 && queue(url, body) });
  });
  const reports: string[] = [];
  await page.route('**/api/v1/impressions', async (route) => {
    reports.push(route.request().postData() ?? '');
    await route.continue();
  });
  await page.goto(blog.url);
  await expect(links(page).first()).toBeVisible();
  await expect(async () => {
    await page.clock.runFor(1100);
    expect(reports.length).toBeGreaterThan(0);
  }).toPass();
});

test('an offer counts as seen only after a second in view, and once', async ({ page }) => {
  await using blog = await OtherSite.serve(`<style>div { height: 3000px }</style><body><h1>A blog</h1><div></div>${script(`data-site="${site}"`)}<div></div>`);
  const reports: { recommendationId: string; partnerIds: string[] }[] = [];
  await page.route('**/api/v1/impressions', async (route) => {
    reports.push(route.request().postDataJSON());
    await route.continue();
  });
  await page.clock.install();
  await page.goto(blog.url);
  await expect(links(page).first()).toBeVisible();
  await page.clock.runFor(10_000);
  expect(reports, 'out of view').toEqual([]);
  await region(page).scrollIntoViewIfNeeded();
  await expect(async () => {
    await page.clock.runFor(1100);
    expect(reports.length).toBeGreaterThan(0);
  }).toPass();
  await page.evaluate(() => scrollTo(0, 0));
  await region(page).scrollIntoViewIfNeeded();
  await page.clock.runFor(5000);
  const partners = reports.flatMap((report) => report.partnerIds);
  expect(new Set(partners).size, `each once: ${partners}`).toBe(partners.length);
});

test.describe('the random id of a visitor', () => {
  /** Answers as if a test needed the id, or none did, and collects what is asked. */
  async function answering(page: Page, extra: () => Record<string, unknown>): Promise<URL[]> {
    const asked: URL[] = [];
    await page.route('**/recommendations?*', async (route) => {
      asked.push(new URL(route.request().url()));
      const answer = await route.fetch();
      await route.fulfill({ response: answer, json: { ...(await answer.json()), ...extra() } });
    });
    return asked;
  }
  const stored = (page: Page, id = site) => page.evaluate((key) => localStorage.getItem(key), `p4s_visitor:${id}`);
  /** Puts something where the id of the site belongs, before the page is there. */
  const store = (page: Page, text: string) => page.addInitScript(([key, value]) => localStorage.setItem(key, value), [`p4s_visitor:${site}`, text] as const);
  /** What the widget makes. */
  const made = /^\d+-\d+-\d+-\d+$/;
  const visitor = (url: URL | undefined) => url?.searchParams.get('visitor');

  test('is kept only while a test needs it, and is the same on the next page', async ({ page, context }) => {
    let keepsVisitor = false;
    const asked = await answering(page, () => ({ keepsVisitor }));
    await using blog = await OtherSite.serve(`<body><h1>A blog</h1>${script(`data-site="${site}"`)}`);
    const visit = async () => {
      await page.goto(blog.url);
      await expect(links(page).first()).toBeVisible();
    };
    await visit();
    expect(await stored(page), 'no test').toBeNull();
    keepsVisitor = true;
    await visit();
    const id = await stored(page);
    expect(id).toMatch(/^[A-Za-z0-9_-]{16,64}$/);
    await visit();
    keepsVisitor = false;
    await visit();
    expect(await stored(page), 'the test is over').toBeNull();
    const [first, second, third, fourth] = asked.map(visitor);
    expect([second, third, fourth]).toEqual([id, id, id]);
    expect(first, 'another one before it was kept').not.toBe(id);
    expect(await context.cookies()).toEqual([]);
  });

  test('is replaced if something else stands in its place', async ({ page }) => {
    const asked = await answering(page, () => ({ keepsVisitor: true }));
    await using blog = await OtherSite.serve(`<body><h1>A blog</h1>${script(`data-site="${site}"`)}`);
    await store(page, '<b>short</b>');
    await page.goto(blog.url);
    await expect(links(page).first()).toBeVisible();
    expect(visitor(asked[0])).toMatch(made);
    expect(await stored(page)).toBe(visitor(asked[0]));
  });

  for (const [storage, prepare] of [
    ['closed', () => Object.defineProperty(window, 'localStorage', { get: () => { throw new DOMException('closed', 'SecurityError'); } })],
    ['full', () => Object.defineProperty(Storage.prototype, 'setItem', { value: () => { throw new DOMException('full', 'QuotaExceededError'); } })],
  ] as const) {
    test(`is not sent if the storage is ${storage}, since each page would count as another visitor`, async ({ page }) => {
      const asked = await answering(page, () => ({ keepsVisitor: true }));
      await using blog = await OtherSite.serve(`<body><h1>A blog</h1>${script(`data-site="${site}"`)}`);
      await page.addInitScript(prepare);
      await page.goto(blog.url);
      await expect(links(page).first()).toBeVisible();
      expect(asked.map((url) => url.search)).toEqual(['']);
    });
  }

  test('belongs to one site: another one of the same origin, which needs none, leaves it alone', async ({ page }) => {
    const other = (await addSite('A site of the same origin')).site_id;
    let tested = site;
    const asked: URL[] = [];
    await page.route('**/recommendations?*', async (route) => {
      const url = new URL(route.request().url());
      asked.push(url);
      const answer = await route.fetch();
      await route.fulfill({ response: answer, json: { ...(await answer.json()), keepsVisitor: url.pathname.includes(tested) } });
    });
    await using blog = await OtherSite.serve(`<body><h1>A blog</h1><p4s-offers site="${site}"></p4s-offers><p4s-offers site="${other}"></p4s-offers>${script()}`);
    const visit = async () => {
      await page.goto(blog.url);
      await expect(region(page)).toHaveCount(2);
      for (const place of [0, 1]) await expect(region(page).nth(place).getByRole('link').first()).toBeVisible();
    };
    await visit();
    const sent = (id: string) => asked.filter((url) => url.pathname.includes(id)).map(visitor);
    const [first] = sent(site);
    expect(first).toMatch(made);
    expect(sent(other), 'each site has its own').not.toContain(first);
    expect([await stored(page), await stored(page, other)]).toEqual([first, null]);
    await visit();
    expect(sent(site)).toEqual([first, first]);
    tested = 'none';
    await visit();
    expect([await stored(page), await stored(page, other)]).toEqual([null, null]);
    expect(await page.evaluate(() => localStorage.length), 'nothing else is left').toBe(0);
  });

  for (const [wish, prepare, attributes] of [
    ['Do Not Track', () => Object.defineProperty(navigator, 'doNotTrack', { value: '1' }), ''],
    ['Global Privacy Control', () => Object.defineProperty(navigator, 'globalPrivacyControl', { value: true }), ''],
    ['a page that switches experiments off', () => {}, 'data-experiments="off"'],
  ] as const) {
    test(`is neither sent nor kept under ${wish}`, async ({ page }) => {
      const asked = await answering(page, () => ({ keepsVisitor: true }));
      await page.addInitScript(prepare);
      await store(page, 'from-before-the-wish');
      await using blog = await OtherSite.serve(`<body><h1>A blog</h1>${script(`data-site="${site}" ${attributes}`)}`);
      await page.goto(blog.url);
      await expect(links(page).first()).toBeVisible();
      expect(asked.map((url) => url.search)).toEqual(['']);
      expect(await stored(page), 'a kept one is removed').toBeNull();
    });
  }

  test('is neither sent nor kept for a line that says so, whatever another line on the page says', async ({ page }) => {
    const other = (await addSite('A site without tests')).site_id;
    const asked = await answering(page, () => ({ keepsVisitor: true }));
    await using blog = await OtherSite.serve(`<body><h1>A blog</h1>${script(`data-site="${site}"`)}<p>Between</p>${script(`data-site="${other}" data-experiments="off"`)}`);
    await page.goto(blog.url);
    await expect(region(page)).toHaveCount(2);
    for (const place of [0, 1]) await expect(region(page).nth(place).getByRole('link').first()).toBeVisible();
    expect(asked.filter((url) => url.pathname.includes(other)).map((url) => url.search)).toEqual(['']);
    expect(await stored(page, other)).toBeNull();
  });

  test('is not sent with a preview, which is passed on and changes nothing that is kept', async ({ page }) => {
    const asked: URL[] = [];
    await store(page, 'the-visitor-of-before');
    await page.route('**/recommendations?*', async (route) => {
      asked.push(new URL(route.request().url()));
      await route.fulfill({ json: { recommendationId: 'x', offers: [], keepsVisitor: false } });
    });
    await page.goto(`/demo?site=${site}&p4s_variant=button-text:short`);
    await expect.poll(() => asked.map((url) => url.search)).toEqual(['?p4s_variant=button-text%3Ashort']);
    expect(await stored(page)).toBe('the-visitor-of-before');
  });
});

test('a page that says the layout itself tells so, and asks anew once it does', async ({ page }) => {
  const asked: (string | null)[] = [];
  await page.route('**/recommendations?*', async (route) => {
    asked.push(new URL(route.request().url()).searchParams.get('layout'));
    await route.continue();
  });
  await using blog = await OtherSite.serve(`<body><h1>A blog</h1>${script(`data-site="${site}"`)}`);
  await page.goto(blog.url);
  await expect(links(page).first()).toBeVisible();
  const say = (layout: string) => page.locator('p4s-offers').evaluate((element, word) => element.setAttribute('layout', word), layout);
  await say('compact');
  await expect.poll(() => asked).toEqual([null, 'fixed']);
  await expect(links(page).first()).toBeVisible();
  await say('cards');
  await expect(region(page)).not.toHaveClass(/compact/);
  expect(asked, 'another layout of its own changes nothing').toEqual([null, 'fixed']);
});

test('the layout comes from the answer unless the page says it, and moves nothing below', async ({ page }) => {
  let answer = () => {};
  let held = Promise.resolve();
  await page.route('**/recommendations?*', async (route) => {
    const found = await route.fetch();
    await held;
    await route.fulfill({ response: found, json: { ...(await found.json()), layout: 'compact' } });
  });
  const height = () => region(page).getByRole('listitem').first().evaluate((item) => item.getBoundingClientRect().height);
  await using blog = await OtherSite.serve(`<body><h1>A blog</h1><p4s-offers site="${site}"></p4s-offers><p id="after">After</p>${script()}`);
  held = new Promise<void>((resolve) => (answer = resolve));
  await page.goto(blog.url);
  await expect(region(page)).toHaveAttribute('aria-busy', 'true');
  const before = await page.locator('#after').boundingBox();
  const cards = await height();
  answer();
  await expect(links(page).first()).toBeVisible();
  expect(await height()).toBeLessThan(cards / 2);
  expect(await page.locator('#after').boundingBox()).toEqual(before);
  await page.locator('p4s-offers').evaluate((element) => element.setAttribute('layout', 'cards'));
  await expect.poll(height, 'the page says otherwise').toBe(cards);
});

for (const scheme of ['light', 'dark'] as const) {
  test(`the demo page with its offers is accessible in ${scheme} colours, on a desktop and on a phone`, async ({ page }) => {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    for (const width of [1440, 390]) {
      await page.setViewportSize({ width, height: 900 });
      await page.goto(`/demo?site=${site}`);
      await expect(links(page).first()).toBeVisible();
      await page.getByText('What happens on a click?').click();
      await expectAccessible(page);
      expect(await page.evaluate(() => document.documentElement.scrollWidth), 'no sideways scrolling').toBeLessThanOrEqual(width);
    }
  });
}

test('the demo page without a query shows the newest site to who is signed in, and nothing of any site to others', async ({ page, pageErrors }) => {
  const { site_id } = await addSite('The newest site');
  const stranger = await page.goto('/demo');
  expect(stranger?.status()).toBe(401);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Sign in to see your sites');
  await expectAccessible(page);
  await page.goto(`/demo?site=${site_id}`);
  await expect(page.getByRole('heading', { level: 1 }), 'who has the address').toHaveText('The newest site');
  await expect(page.locator('body')).not.toContainText('Other sites');
  pageErrors.length = 0;

  await signIn(page);
  await page.goto('/demo');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('The newest site');
  await page.getByText('What happens on a click?').click();
  await expect(page.getByText('Other sites:')).toBeVisible();
  const answer = await page.goto('/demo?site=00000000-0000-0000-0000-000000000000');
  expect(answer?.status()).toBe(404);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('There is no such site');
  pageErrors.length = 0;
});

test.describe('without JavaScript', () => {
  test.use({ javaScriptEnabled: false });
  test('the frame shows the same offers as plain links', async ({ page }) => {
    await page.goto(`/demo?site=${site}`);
    const frame = page.frameLocator('iframe[title="Partner offers"]');
    await frame.getByRole('link').first().scrollIntoViewIfNeeded();
    await expect(frame.getByRole('listitem').first()).toContainText('package.json');
    await expect(frame.getByRole('link').first()).toHaveAttribute('href', /^\/r\/[^?]+\?rid=/);
    await expect(frame.locator('body')).toContainText('project4site may earn a commission');
  });
});
