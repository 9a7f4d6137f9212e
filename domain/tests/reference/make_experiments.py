#!/usr/bin/env python3
"""Writes experiments.json: the statistics of experiments as independent packages compute them.

    python3 -m venv venv && venv/bin/pip install scipy statsmodels mpmath
    venv/bin/python make_experiments.py > experiments.json

Only the tests read the file; the product needs none of this. Where SciPy and statsmodels have no function (confidence sequences, e-values, Beta
posteriors), mpmath evaluates the published formula with 40 digits. Seeds are fixed, so the file is the same for the same versions.
"""

import json
import sys

import mpmath as mp
import numpy as np
import scipy
import scipy.stats as st
import statsmodels
import statsmodels.api as sm
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint, test_proportions_2indep

mp.mp.dps = 40
ALPHA = 0.05


def number(x):
    """A float of JSON; what is not finite is absent."""
    x = float(x)
    return x if np.isfinite(x) else None


def interval(pair):
    return {"low": number(pair[0]), "high": number(pair[1])}


def always_valid(estimate, error, units, planned, alpha):
    """Waudby-Smith et al., arXiv:2103.06476, the normal mixture."""
    estimate, error, a = mp.mpf(float(estimate)), mp.mpf(float(error)), mp.mpf(alpha)
    rho2 = (-2 * mp.log(a) + mp.log(1 - 2 * mp.log(a))) / planned
    grown = units * rho2
    reach = mp.sqrt(2 * (grown + 1) / grown * mp.log(mp.sqrt(grown + 1) / a)) * error
    ln_e = grown * (estimate / error) ** 2 / (2 * (grown + 1)) - mp.log(grown + 1) / 2
    return {"p": number(min(mp.mpf(1), mp.exp(-ln_e))), "low": number(estimate - reach), "high": number(estimate + reach)}


def welch(n1, m1, v1, n2, m2, v2, alpha):
    """Arm 1 is the control, the difference is 2 - 1."""
    m1, v1, m2, v2 = float(m1), float(v1), float(m2), float(v2)
    p = st.ttest_ind_from_stats(m2, v2**0.5, n2, m1, v1**0.5, n1, equal_var=False).pvalue
    a, b = v1 / n1, v2 / n2
    error = (a + b) ** 0.5
    freedom = (a + b) ** 2 / (a * a / (n1 - 1) + b * b / (n2 - 1))
    reach = st.t.isf(alpha / 2, freedom) * error
    return {"estimate": m2 - m1, "standard_error": error, "p": number(p), "low": m2 - m1 - reach, "high": m2 - m1 + reach}


def beta_win(s1, f1, s2, f2):
    """P(p2 > p1), E max(p1 - p2, 0), E max(p2 - p1, 0) of Beta posteriors from flat priors, by the finite sum."""
    def above(a1, b1, a2, b2):
        # sum over i < a2 of B(a1 + i, b1 + b2) / ((b2 + i) B(1 + i, b2) B(a1, b1)), each term from the one before
        term = mp.beta(a1, b1 + b2) / (b2 * mp.beta(1, b2) * mp.beta(a1, b1))
        total = mp.mpf(0)
        for i in range(a2):
            total += term
            term *= mp.mpf(a1 + i) / (a1 + b1 + b2 + i) * (b2 + i) / (i + 1)
        return total
    a1, b1, a2, b2 = s1 + 1, f1 + 1, s2 + 1, f2 + 1
    win = above(a1, b1, a2, b2)
    mean1, mean2 = mp.mpf(a1) / (a1 + b1), mp.mpf(a2) / (a2 + b2)
    # E[p2; p2 > p1] weighs by p2, which makes it Beta(a2 + 1, b2); the same with p1
    keep = mean2 * above(a1, b1, a2 + 1, b2) - mean1 * above(a1 + 1, b1, a2, b2)
    ship = keep + mean1 - mean2
    return {"chance_to_win": number(win), "loss_of_shipping": number(ship), "loss_of_keeping": number(keep)}


def rate_case(name, n1, s1, n2, s2, planned, share=0.5):
    f1, f2 = n1 - s1, n2 - s2
    m1, m2 = s1 / n1, s2 / n2
    has_empty = min(s1, f1, s2, f2) == 0
    case = {"name": name, "kind": "rate", "planned_units": planned, "share": share, "arms": [[n1, s1], [n2, s2]]}
    v1, v2 = m1 * (1 - m1), m2 * (1 - m2)
    if has_empty:
        low, high = confint_proportions_2indep(s2, n2, s1, n1, method="newcomb", compare="diff", alpha=ALPHA)
        case["fisher"] = number(st.fisher_exact([[s1, f1], [s2, f2]]).pvalue)
        case["newcombe"] = interval((low, high))
    else:
        case["absolute"] = welch(n1, m1, v1, n2, m2, v2, ALPHA)
        p = test_proportions_2indep(s2, n2, s1, n1, compare="ratio", method="log").pvalue
        low, high = confint_proportions_2indep(s2, n2, s1, n1, compare="ratio", method="log", alpha=ALPHA)
        error = (1 / s1 - 1 / n1 + 1 / s2 - 1 / n2) ** 0.5
        case["lift"] = {"estimate": m2 / m1 - 1, "p": number(p), "low": low - 1, "high": high - 1, "log_standard_error": error}
        if s1 * s2 > 0 and abs(p) < 1e-12:
            z = abs(mp.log(mp.mpf(s2) * n1 / (mp.mpf(s1) * n2))) / mp.sqrt(mp.mpf(1) / s1 - mp.mpf(1) / n1 + mp.mpf(1) / s2 - mp.mpf(1) / n2)
            case["lift"]["p"] = number(mp.erfc(z / mp.sqrt(2)))
        if min(s1, f1, s2, f2) >= 10:
            case["always_valid"] = always_valid(np.log(m2 / m1), error, n1 + n2, planned, ALPHA)
            difference = case["absolute"]
            case["always_valid_absolute"] = always_valid(difference["estimate"], difference["standard_error"], n1 + n2, planned, ALPHA)
    # The score interval of the ratio exists wherever the control succeeded.
    if s1 > 0 and has_empty:
        low, high = koopman(s2, n2, s1, n1)
        case["score_ratio"] = {"low": low - 1, "high": high - 1}
    rare = (s1, s2) if s1 + s2 <= f1 + f2 else (f1, f2)
    a, b, w = mp.mpf(share), 1 - mp.mpf(share), mp.mpf(share)
    ln_e = mp.log(mp.beta(a + rare[1], b + rare[0]) / mp.beta(a, b)) - rare[1] * mp.log(w) - rare[0] * mp.log(1 - w)
    case["ln_exact_e_value"] = number(ln_e)
    case["beliefs"] = beta_win(s1, f1, s2, f2)
    case["wilson"] = [interval(proportion_confint(s, n, alpha=ALPHA, method="wilson")) for n, s in case["arms"]]
    return case


def koopman(x, m, y, n):
    """Koopman 1984 by its definition: the ratios whose chi-square, with the likeliest rates under the ratio, is within the limit."""
    limit = mp.mpf(st.chi2.isf(ALPHA, 1))

    def chi(ratio):
        ratio = mp.mpf(ratio)
        a, b, c = (m + n) * ratio, -(m * ratio + x + n + y * ratio), x + y
        p2 = (-b - mp.sqrt(b * b - 4 * a * c)) / (2 * a)
        p1 = ratio * p2
        chi = mp.mpf(0)
        for count, units, p in ((x, m, p1), (y, n, p2)):
            if 0 < p < 1:
                chi += (count - units * p) ** 2 / (units * p * (1 - p))
        return chi - limit

    def solve(inside, outside):
        for _ in range(200):
            middle = mp.sqrt(inside * outside)
            inside, outside = (middle, outside) if chi(middle) <= 0 else (inside, middle)
        return float(inside)

    start = mp.mpf(max(x, 0.1)) / m / (mp.mpf(y) / n)
    # The estimate itself is inside; with nothing in the numerator every small ratio is.
    start = start if chi(start) <= 0 else start / 1000
    return 0.0 if x == 0 else solve(start, start * mp.mpf(10) ** -20), solve(start, start * mp.mpf(10) ** 20)


def mean_case(name, control, variant, planned, scale=1):
    """From units in whole numbers, or in decimals of `scale`; sums are exact."""
    sums = [(len(x), sum(int(v) for v in x), sum(int(v) ** 2 for v in x)) for x in (control, variant)]
    a, b = control.astype(float) / scale, variant.astype(float) / scale
    test = st.ttest_ind(b, a, equal_var=False)
    bounds = test.confidence_interval(1 - ALPHA)
    moments = []
    for n, total, squares in sums:
        mean = mp.mpf(total) / n
        moments.append((n, mean / scale, (mp.mpf(squares) - mean * total) / (n - 1) / scale**2))
    (n1, m1, v1), (n2, m2, v2) = moments
    error = mp.sqrt(v1 / n1 + v2 / n2)
    case = {
        "name": name, "kind": "mean", "planned_units": planned, "share": 0.5,
        "arms": [[n, str(mp.nstr(mp.mpf(t) / scale, 30, strip_zeros=True, min_fixed=-99, max_fixed=99)).removesuffix(".0"),
                  str(mp.nstr(mp.mpf(q) / scale**2, 30, strip_zeros=True, min_fixed=-99, max_fixed=99)).removesuffix(".0")] for n, t, q in sums],
        "absolute": {"estimate": number(m2 - m1), "standard_error": number(error), "p": number(test.pvalue), **interval(bounds)},
        "always_valid": always_valid(m2 - m1, error, n1 + n2, planned, ALPHA),
    }
    if abs(test.pvalue) < 1e-290 or name.startswith("offset"):
        # Where SciPy's own sums in floats lose digits: from the exact moments.
        case["absolute"].update(welch(n1, m1, v1, n2, m2, v2, ALPHA))
        case["absolute"]["estimate"], case["absolute"]["standard_error"] = number(m2 - m1), number(error)
        freedom = (v1 / n1 + v2 / n2) ** 2 / ((v1 / n1) ** 2 / (n1 - 1) + (v2 / n2) ** 2 / (n2 - 1))
        reach = mp.mpf(st.t.isf(ALPHA / 2, float(freedom))) * error
        t = abs(m2 - m1) / error
        case["absolute"].update(interval((m2 - m1 - reach, m2 - m1 + reach)))
        case["absolute"]["p"] = number(mp.betainc(freedom / 2, mp.mpf(1) / 2, 0, freedom / (freedom + t * t), regularized=True))
    if m1 > 0 and m2 > 0:
        log_error = mp.sqrt(v1 / n1 / m1**2 + v2 / n2 / m2**2)
        log_ratio = mp.log(m2 / m1)
        reach = mp.mpf(st.norm.isf(ALPHA / 2)) * log_error
        case["lift"] = {
            "estimate": number(m2 / m1 - 1), "log_standard_error": number(log_error), "p": number(mp.erfc(abs(log_ratio) / log_error / mp.sqrt(2))),
            "low": number(mp.expm1(log_ratio - reach)), "high": number(mp.expm1(log_ratio + reach)),
        }
        case["always_valid_lift"] = always_valid(log_ratio, log_error, n1 + n2, planned, ALPHA)
    z, d = float((m2 - m1) / error), float(m2 - m1)
    e = float(error)
    case["beliefs"] = {
        "chance_to_win": number(st.norm.cdf(z)),
        "loss_of_shipping": number(mp.quad(lambda x: (x - z) * mp.npdf(x), [z, z + 5, z + 20]) * e) if z > -30 else -d,
        "loss_of_keeping": number(mp.quad(lambda x: (z - x) * mp.npdf(x), [z - 20, z - 5, z]) * e) if z < 30 else d,
    }
    return case


def srm_case(observed, weights, concentration):
    kept = [(o, w) for o, w in zip(observed, weights) if w > 0]
    total, whole = sum(o for o, _ in kept), sum(w for _, w in kept)
    p = st.chisquare([o for o, _ in kept], [total * w / whole for _, w in kept]).pvalue
    c = mp.mpf(concentration)
    ln = mp.loggamma(c) - mp.loggamma(c + total)
    for o, w in kept:
        t = mp.mpf(w) / mp.mpf(whole)
        ln += mp.loggamma(c * t + o) - mp.loggamma(c * t) - o * mp.log(t)
    return {"observed": observed, "weights": weights, "concentration": concentration, "p": number(p), "ln_e_value": number(ln)}


def best_case(arms):
    posts = [st.beta(s + 1, n - s + 1) for n, s in arms]
    low, high = min(p.ppf(1e-14) for p in posts), max(p.isf(1e-14) for p in posts)
    xs, ws = np.polynomial.legendre.leggauss(4000)
    xs = low + (xs + 1) / 2 * (high - low)
    ws = ws * (high - low) / 2
    chances = [float(np.sum(ws * p.pdf(xs) * np.prod([q.cdf(xs) for j, q in enumerate(posts) if j != i], axis=0))) for i, p in enumerate(posts)]
    return {"arms": arms, "chances": chances}


def cuped_case(rng, n1, n2):
    """Analysis of covariance by least squares: its slope, its effect, and the residual spread of each arm."""
    x = rng.poisson(6, n1 + n2)
    arm = np.repeat([0, 1], [n1, n2])
    y = rng.poisson(2 + 0.8 * x + 0.3 * arm)
    fit = sm.OLS(y, np.column_stack([np.ones(n1 + n2), arm, x])).fit()
    theta = fit.params[2]
    arms, variances = [], []
    for side in (0, 1):
        ys, xs = y[arm == side], x[arm == side]
        arms.append([int(v) for v in (len(ys), ys.sum(), (ys * ys).sum(), xs.sum(), (xs * xs).sum(), (xs * ys).sum())])
        variances.append(number(np.var(ys - theta * xs, ddof=1)))
    plain = sm.OLS(y, np.column_stack([np.ones(n1 + n2), arm])).fit()
    return {"arms": arms, "theta": number(theta), "difference": number(fit.params[1]), "variances": variances, "reduction": number(1 - fit.ssr / plain.ssr)}


def main():
    rng = np.random.default_rng(20261123)
    revenue = lambda n, rate, mean: np.where(rng.random(n) < rate, np.round(np.exp(rng.normal(mean, 1.2, n))), 0).astype(np.int64)
    cases = [
        rate_case("small, typical", 500, 40, 500, 58, 2_000),
        rate_case("large, typical", 50_000, 5_000, 50_000, 5_230, 100_000),
        rate_case("no difference", 10_000, 1_000, 10_000, 1_000, 20_000),
        rate_case("half a percent", 40_000, 200, 40_000, 231, 80_000),
        rate_case("unequal arms, nine to one", 90_000, 4_500, 10_000, 560, 100_000, 0.1),
        rate_case("a loser", 8_000, 800, 8_000, 690, 20_000),
        rate_case("high rates", 2_000, 1_900, 2_000, 1_940, 4_000),
        rate_case("one success each", 300, 1, 300, 1, 1_000),
        rate_case("few successes", 400, 3, 420, 11, 1_000),
        rate_case("none against seven", 500, 0, 500, 7, 2_000),
        rate_case("seven against none", 500, 7, 500, 0, 2_000),
        rate_case("none at all", 500, 0, 400, 0, 2_000),
        rate_case("all against some", 200, 180, 210, 210, 2_000),
        rate_case("all and all", 100, 100, 120, 120, 2_000),
        rate_case("all against none", 60, 60, 70, 0, 2_000),
        rate_case("none in a small arm", 20_000, 900, 30, 0, 40_000, 0.1),
        rate_case("a p-value of 1e-75", 100_000, 10_000, 100_000, 12_600, 200_000),
        rate_case("five million units", 2_500_000, 50_000, 2_500_000, 50_600, 5_000_000),
        mean_case("clicks per unit", rng.poisson(1.3, 3_000), rng.poisson(1.38, 3_000), 8_000),
        mean_case("revenue in cents, most units nothing", revenue(20_000, 0.03, 8.0), revenue(20_000, 0.034, 8.05), 40_000),
        mean_case("revenue, unequal arms", revenue(9_000, 0.05, 7.5), revenue(1_000, 0.05, 7.6), 10_000),
        mean_case("revenue with reversals", revenue(5_000, 0.1, 7.0) - revenue(5_000, 0.02, 7.0), revenue(5_000, 0.1, 7.1) - revenue(5_000, 0.02, 7.0), 10_000),
        mean_case("a tiny sample", rng.poisson(9, 6), rng.poisson(14, 5), 100),
        mean_case("decimals", rng.integers(0, 100_000, 1_500), rng.integers(0, 104_000, 1_400), 5_000, scale=1_000),
        mean_case("spread beside twice that", np.round(rng.normal(500, 50, 900)).astype(np.int64), np.round(rng.normal(505, 100, 300)).astype(np.int64), 2_000),
        mean_case("offset of a million", np.round(rng.normal(10**9, 1_000, 400)).astype(np.int64), np.round(rng.normal(10**9 + 150, 1_000, 400)).astype(np.int64), 1_000, scale=1_000),
        mean_case("a negative mean", np.round(rng.normal(-40, 90, 800)).astype(np.int64), np.round(rng.normal(-30, 90, 800)).astype(np.int64), 2_000),
        mean_case("far apart", np.round(rng.normal(1_000, 30, 700)).astype(np.int64), np.round(rng.normal(1_100, 30, 700)).astype(np.int64), 2_000),
    ]
    p_values = [[0.01, 0.04, 0.03], [0.5], [0.2, 0.2, 0.001, 0.9], [1.0, 0.0, 0.04, 0.04, 0.012, 0.3, 0.049]]
    output = {
        "versions": {
            "python": sys.version.split()[0], "scipy": scipy.__version__, "statsmodels": statsmodels.__version__,
            "mpmath": mp.__version__, "numpy": np.__version__,
        },
        "alpha": ALPHA,
        "cases": cases,
        "srm": [
            srm_case(o, w, c)
            for c in (100, 10_000)
            for o, w in [
                ([5_000, 5_000], [0.5, 0.5]), ([5_200, 4_800], [0.5, 0.5]), ([5_000, 5_000, 300], [0.5, 0.5, 0]), ([5_200, 4_800, 0], [0.5, 0.5, 0]),
                ([90_500, 9_500], [9, 1]), ([3, 0], [0.5, 0.5]), ([0, 1], [0.01, 0.99]), ([3_350_000, 3_320_000, 3_330_000], [1, 1, 1]),
                ([500_900_000, 499_100_000], [0.5, 0.5]),
            ]
        ],
        "corrections": [
            {"p": p, "holm": list(multipletests(p, method="holm")[1]), "benjamini_hochberg": list(multipletests(p, method="fdr_bh")[1])} for p in p_values
        ],
        "best": [
            best_case(arms) for arms in (
                [[1_000, 100], [1_000, 110], [1_000, 95]], [[100, 0], [100, 1], [100, 2], [120, 0]], [[50_000, 1_000], [500, 12]],
                [[10_000, 500], [10_000, 510], [9_000, 480], [11_000, 520], [10_000, 400]],
            )
        ],
        "cuped": [cuped_case(rng, 900, 1_100), cuped_case(rng, 300, 2_700)],
        "student": [
            {"t": t, "freedom": f, "p": number(mp.betainc(mp.mpf(f) / 2, 0.5, 0, mp.mpf(f) / (f + mp.mpf(t) ** 2), regularized=True))}
            for f in (1, 2.5, 7, 50, 399, 401, 1_000, 30_000) for t in (0.01, 0.5, 1.96, 4, 12, 30)
        ],
    }
    json.dump(output, sys.stdout, indent=1, allow_nan=False)
    print()


main()
