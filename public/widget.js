// Partner offers of project4site, see docs/WIDGET.md
(() => {
  const script = document.currentScript ?? document.querySelector('script[src*="/widget.js"]');
  const origin = new URL(script.src).origin;
  /** An offer counts as seen when half of it was in view for this long. */
  const SEEN_MS = 1000;

  // Who sees which variant follows from a random id for each site, which outlives the page only while a test needs it.
  const KEY = 'p4s_visitor';
  /** Nothing if the storage is closed or full. */
  const storage = (use) => {
    try {
      return use(localStorage);
    } catch {}
  };
  /** Who looks at a variant takes part in nothing. */
  const variant = new URLSearchParams(location.search).get('p4s_variant');
  const isPrivate = navigator.doNotTrack === '1' || navigator.globalPrivacyControl || script.dataset.experiments === 'off';
  const visitors = {};
  /** Nothing if nothing can be kept: each page would be another visitor. */
  const visitorOf = (key) =>
    storage((local) => {
      const known = local.getItem(key);
      if (/^[\w-]{16,64}$/.test(known)) return known;
      local.setItem(KEY, key);
      local.removeItem(KEY);
      return (visitors[key] ??= crypto.getRandomValues(new Uint32Array(4)).join('-'));
    });

  // Heights are fixed and text is clamped: the skeleton is as high as what replaces it.
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
:host { display: block; container-type: inline-size; color: light-dark(#16181d, #f1f2f4); text-align: start; line-height: 1.45 }
:host([theme=light]) { color-scheme: light }
:host([theme=dark]) { color-scheme: dark }
:host([theme=auto]) { color-scheme: light dark }
section { --accent: var(--p4s-accent, light-dark(#4f46e5, #a5a6fb)); --soft: light-dark(#59606c, #a3a9b4); --line: light-dark(#e3e5ea, #2c3038) }
* { box-sizing: border-box; margin: 0; padding: 0 }
.label { height: 2.5em; font-size: .8em; color: var(--soft) }
.label b { color: light-dark(#16181d, #f1f2f4); font-weight: 600 }
ul { list-style: none; display: grid; grid-auto-flow: column; grid-auto-columns: minmax(min(15.5em, 88cqi), 25em); gap: .9em; overflow-x: auto; scroll-snap-type: x proximity; padding: .25em .25em .65em; margin: -.25em }
.offer { position: relative; height: 16.6em; padding: 1.1em; display: grid; grid-template: 2.4em 3.1em 1fr 2.6em / 2.4em minmax(0, 1fr); gap: .6em .75em; scroll-snap-align: start; background: light-dark(#fff, #181b20); border: 1px solid var(--line); border-radius: 14px; box-shadow: 0 1px 2px #1018280d }
.offer:hover { border-color: light-dark(#c3c7d0, #4a505c); box-shadow: 0 6px 20px light-dark(#10182817, #00000073) }
.offer:focus-within:has(:focus-visible) { outline: 3px solid var(--accent); outline-offset: 1px }
.mark { display: grid; place-items: center; width: 2.4em; height: 2.4em; border-radius: 10px; font-weight: 700; color: light-dark(oklch(.45 .14 var(--hue)), oklch(.84 .1 var(--hue))); background: light-dark(oklch(.95 .035 var(--hue)), oklch(.31 .06 var(--hue))) }
h3 { align-self: center; font-size: 1em; font-weight: 650; letter-spacing: -.01em }
.lead, .why, a { grid-column: 1 / -1 }
.lead, .why span { overflow: hidden; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2 }
.why { font-size: .82em; color: var(--soft); border-inline-start: 2px solid var(--line); padding-inline-start: .75em; overflow: hidden; min-width: 0 }
code { display: block; margin-top: .25em; font: .92em ui-monospace, Menlo, Consolas, monospace }
a { align-self: end; display: flex; justify-content: center; gap: .5em; padding: .52em .9em; border-radius: 9px; font-size: .92em; font-weight: 600; text-decoration: none; color: var(--accent); background: color-mix(in oklab, var(--accent) 9%, transparent); overflow: hidden; outline: none }
a::before { content: ""; position: absolute; inset: 0; border-radius: 14px }
.offer:hover a, a:focus-visible { color: light-dark(#fff, #12132b); background: var(--accent) }
.label, h3, code, a span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.blank > * { border-radius: 8px; background: light-dark(#eef0f3, #23272e); border: 0 }
.blank h3 { width: 55%; height: 1em }
.compact ul { grid-auto-flow: row; grid-auto-columns: auto; align-content: start; gap: .4em }
.compact .offer { height: 4.2em; padding: .5em .8em; gap: 0 .75em; align-items: center; grid-template: 1.5em 1.6em / 2.4em minmax(0, 1fr) auto; border-radius: 11px }
.compact .mark { grid-row: 1 / 3 }
.compact .lead { grid-area: 2 / 2; font-size: .82em; color: var(--soft); -webkit-line-clamp: 1 }
.compact .why { display: none }
.compact a { grid-area: 1 / 3 / 3; align-self: center }
@container (width < 30em) { .compact a span { display: none } }
@media (prefers-reduced-motion: no-preference) {
  .offer { transition: border-color .15s, box-shadow .15s }
  a { transition: background .15s, color .15s }
  .offer:not(.blank) { animation: come .35s ease-out backwards }
  .blank > * { animation: wait 1.4s ease-in-out infinite alternate }
  @keyframes come { from { opacity: 0 } }
  @keyframes wait { to { opacity: .5 } }
}
@media (forced-colors: active) { a { border: 1px solid } }`);

  /** Text goes in as text, never as HTML. */
  const make = (tag, className, ...children) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    element.append(...children);
    return element;
  };

  const blank = () => make('li', 'offer blank', make('div', 'mark'), make('h3'), make('p', 'lead'), make('p', 'why'), make('a'));

  const card = (offer) => {
    const name = offer.partnerName;
    const mark = make('div', 'mark', [...name][0].toUpperCase());
    mark.ariaHidden = 'true';
    mark.style.setProperty('--hue', [...offer.partnerId].reduce((hue, letter) => (hue * 13 + letter.charCodeAt(0)) % 360, 0));
    const why = make('p', 'why');
    const [reason] = offer.reasons;
    if (reason) {
      why.append(make('span', '', reason.text[0].toUpperCase() + reason.text.slice(1)));
      if (reason.evidence?.[0]) why.append(make('code', '', reason.evidence[0]));
      why.title = [reason.text, ...(reason.evidence ?? [])].join('\n');
    }
    const arrow = make('div', '', '\u2192');
    arrow.ariaHidden = 'true';
    const link = make('a', '', make('span', '', offer.ctaText), arrow);
    // Clicks are counted on our origin; nothing else may become a link.
    const url = new URL(offer.url, origin);
    if (url.origin !== origin) throw new Error('a link to another origin');
    link.href = url.href;
    link.target = '_blank';
    link.rel = 'sponsored noopener';
    link.ariaLabel = `${offer.ctaText} (partner offer, opens in a new tab)`;
    const item = make('li', 'offer', mark, make('h3', '', name), make('p', 'lead', offer.positioning), why, link);
    item.partnerId = offer.partnerId;
    return item;
  };

  class Offers extends HTMLElement {
    static observedAttributes = ['site', 'limit', 'layout'];
    #root = this.attachShadow({ mode: 'open' });
    #asked = '';
    #request = new AbortController();
    #observer;
    #recommendationId;
    /** What the answer says; the page's own word outweighs it. */
    #layout;

    connectedCallback() {
      this.#show();
    }

    attributeChangedCallback() {
      if (this.isConnected) this.#show();
    }

    /** A router may bring the element back: what is loaded stays, what is under way ends. */
    disconnectedCallback() {
      this.#stop();
      if (!this.#recommendationId) this.#asked = '';
    }

    #stop() {
      this.#request.abort();
      this.#observer = this.#observer?.disconnect();
    }

    async #show() {
      const site = this.getAttribute('site');
      const limit = Math.min(Math.max(parseInt(this.getAttribute('limit')) || 3, 1), 6);
      // Who says the layout is in no test of it.
      const fixed = this.hasAttribute('layout') && 'fixed';
      const asked = `${site} ${limit} ${fixed}`;
      if (asked === this.#asked) {
        this.#lay();
        return this.#watch();
      }
      this.#asked = asked;
      this.#stop();
      this.#recommendationId = this.#layout = undefined;
      const request = (this.#request = new AbortController());
      if (!site) return this.#vanish();
      try {
        this.#draw(Array.from({ length: limit }, blank)).ariaBusy = 'true';
        const signal = AbortSignal.any([request.signal, AbortSignal.timeout(10_000)]);
        const key = `${KEY}:${site}`;
        const visitor = !variant && !isPrivate && this.getAttribute('experiments') !== 'off' && visitorOf(key);
        const query = Object.entries({ p4s_variant: variant, visitor, layout: fixed }).filter((pair) => pair[1]);
        const url = `${origin}/api/v1/sites/${encodeURIComponent(site)}/recommendations?${new URLSearchParams(query)}`;
        // Who is signed in here may look at what no visitor sees yet.
        const answer = await fetch(url, { signal, credentials: variant ? 'same-origin' : 'omit' });
        const { recommendationId, offers, layout, keepsVisitor } = await answer.json();
        if (request.signal.aborted) return;
        if (answer.ok && !variant) storage((local) => (keepsVisitor && visitor ? local.setItem(key, visitor) : local.removeItem(key)));
        // What the project already has is not advertised to it.
        const fitting = offers.filter((offer) => !offer.downRanked).slice(0, limit);
        if (!answer.ok || !fitting.length) return this.#vanish();
        // A layout that comes with the answer leaves the page where it is.
        const { height } = this.#root.firstChild.lastChild.getBoundingClientRect();
        this.#layout = layout;
        const section = this.#draw(fitting.map(card));
        if (layout && !fixed) section.lastChild.style.minHeight = `${height}px`;
        this.#recommendationId = recommendationId;
        this.#watch();
      } catch {
        if (!request.signal.aborted) this.#vanish();
      }
    }

    #draw(items) {
      this.#root.adoptedStyleSheets = [sheet];
      const section = make('section', '', make('p', 'label', make('b', '', 'Partner offers'), ' \u00b7 project4site may earn a commission'), make('ul', '', ...items));
      Object.assign(section, { ariaLabel: 'Partner offers', lang: 'en', dir: 'ltr' });
      this.#root.replaceChildren(section);
      this.#lay();
      return section;
    }

    #lay() {
      this.#root.firstChild?.classList.toggle('compact', (this.getAttribute('layout') ?? this.#layout) === 'compact');
    }

    #vanish() {
      this.#root.adoptedStyleSheets = [];
      this.#root.replaceChildren();
    }

    /** Reports each offer once, when it was really seen. */
    #watch() {
      this.#observer?.disconnect();
      if (!this.#recommendationId) return;
      /** Items in view, and since when. */
      const seen = new Map();
      const report = (candidates) => {
        const now = candidates.filter((item) => !item.reported && performance.now() - seen.get(item) >= SEEN_MS - 50);
        if (observer !== this.#observer || !now.length) return;
        const partnerIds = now.map((item) => item.partnerId);
        const body = JSON.stringify({ recommendationId: this.#recommendationId, partnerIds });
        // Nothing is reported by a hidden page, or with a full queue.
        if (document.hidden || !navigator.sendBeacon(`${origin}/api/v1/impressions`, body)) return wait(now);
        for (const item of now) item.reported = true;
      };
      const wait = (items) => setTimeout(report, SEEN_MS, items);
      const observer = (this.#observer = new IntersectionObserver(
        (entries) => {
          for (const { target, intersectionRatio } of entries) intersectionRatio >= 0.5 ? seen.set(target, performance.now()) : seen.delete(target);
          wait([...seen.keys()]);
        },
        { threshold: 0.5 },
      ));
      for (const item of this.#root.querySelectorAll('.offer')) observer.observe(item);
    }
  }

  if (!customElements.get('p4s-offers')) customElements.define('p4s-offers', Offers);

  // Without `data-site` the page places elements itself.
  const { site } = script.dataset;
  const place = () => {
    // A router that restores a page runs the line again beside what it made.
    const next = script.nextElementSibling;
    const element = next?.matches(`p4s-offers[site=${CSS.escape(site)}]`) ? next : document.createElement('p4s-offers');
    for (const name of ['site', 'theme', 'layout', 'limit', 'experiments']) if (script.dataset[name]) element.setAttribute(name, script.dataset[name]);
    element.isConnected || (script.closest('head') ? document.body.append(element) : script.after(element));
  };
  if (site) document.body ? place() : addEventListener('DOMContentLoaded', place);
})();
