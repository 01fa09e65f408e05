"""The page in Chromium: opened, filtered, paused, and asked for a request's time."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from exai_ops.dashboard import assets

from .conftest import DEADLINE_MS, Complaints, OpenPage
from .live_daemon import LiveDaemon, live_daemon

expect.set_options(timeout=DEADLINE_MS)
ROWS = 400
"""As ``tail.js`` has it."""


def functions(page: Page) -> list[str]:
    """Of the tail's rows, markers left out."""
    return page.locator("#row-list tr:not(.marker) td.f").all_inner_texts()


def test_it_opens_without_a_complaint_and_asks_nobody_else(
    live: LiveDaemon, open_page: OpenPage, complaints: Complaints
) -> None:
    live.record("opened", response_time_ms=12.5)
    page = open_page(live.url)
    expect(page.locator("#link")).to_have_text("live")
    expect(page.locator("#ready")).to_have_text("ready")
    expect(page.locator("#types")).to_contain_text("websocket")
    expect(page.locator("#providers")).to_contain_text("kimi")
    page.wait_for_function("() => performance.getEntriesByName('exai-charts-painted').length")
    assert (
        page.evaluate("Object.values(Chart.instances).map((c) => c.data.datasets.length > 0)") == [True] * 4
    )
    assert page.locator("#no-charts").is_hidden()
    assert complaints == []


def test_who_holds_a_permit_is_shown(live: LiveDaemon, open_page: OpenPage) -> None:
    page = open_page(live.url)
    expect(page.locator("#holders-none")).to_be_visible()
    with live.held("held-1", "a<b>tool", "glm"):
        row = page.locator("#holders tbody tr")
        expect(row).to_have_count(1)
        told = row.locator("td").all_inner_texts()
        assert (told[0], told[1], told[4], told[6]) == ("a<b>tool", "glm", "held-1", "no")
        assert re.fullmatch(r"[0-9.]+ s", told[2])
        assert "live_daemon.py" in told[5]
        expect(page.locator("#limits")).to_contain_text("glm 1 of 4")
    expect(page.locator("#holders-none")).to_be_visible()


def test_alerts_and_breakers_are_shown(live: LiveDaemon, open_page: OpenPage, complaints: Complaints) -> None:
    page = open_page(live.url)
    page.evaluate(
        """async () => {
          const { Panels } = await import('/dashboard/static/panels.js');
          const { Clock } = await import('/dashboard/static/format.js');
          const panels = Object.create(Panels.prototype);
          panels.clock = () => new Clock('UTC');
          const alert = (runbook) => ({ rule: 'p95', message: '<b>slow</b>', since: 0, runbook });
          panels.alerts([alert('https://runbooks.example/p95'), alert('javascript:alert(1)')]);
          panels.bodies = { providers: document.querySelector('#providers tbody') };
          const one = { name: 'kimi', configured: true, breaker: 'open', consecutive_failures: 7 };
          panels.providers({ time: 100, providers: [{ ...one, last_error: '503', last_ok_at: 40 }] });
          window.told = [...document.querySelectorAll('#alert-list li')].map((li) => li.textContent);
          window.links = [...document.querySelectorAll('#alert-list a')].map((a) => a.href);
          const cells = [...document.querySelectorAll('#providers td')];
          window.breaker = cells.map((td) => [td.textContent, td.className]);
        }"""
    )
    (first, second) = page.evaluate("told")
    assert first == "p95<b>slow</b>since 01 Jan 1970, 00:00:00 UTChttps://runbooks.example/p95"
    assert second.endswith("javascript:alert(1)")
    assert page.evaluate("links") == ["https://runbooks.example/p95"]
    cells = page.evaluate("breaker")[:5]
    assert cells == [["kimi", ""], ["open", "bad"], ["7", ""], ["1m 0s ago", ""], ["503", "bad"]]
    assert complaints == []


def test_filters_are_in_the_address_and_back_undoes_them(live: LiveDaemon, open_page: OpenPage) -> None:
    for name in ("alpha", "beta"):
        live.record(name)
        live.record(name, error="it broke", direction="error")
    page = open_page(live.url, "/dashboard?function=alpha")
    assert page.input_value("input[name=functions]") == "alpha"
    expect(page.locator("#row-list")).to_contain_text("alpha")
    assert set(functions(page)) == {"alpha"}
    page.fill("input[name=functions]", "beta, alpha")
    page.fill("textarea[name=grep]", "it b.oke\nerr")
    page.fill("textarea[name=exclude]", "alpha")
    page.check("input[name=errors]")
    page.click("#filters button")
    expect(page.locator("#row-list")).not_to_contain_text("alpha")
    expect(page.locator("#row-list")).to_contain_text("it broke")
    assert set(functions(page)) == {"beta"}
    asked = page.url.partition("?")[2]
    for part in ("function=beta&function=alpha", "grep=it+b.oke&grep=err", "exclude=alpha", "errors=1"):
        assert part in asked
    other = open_page(live.url, f"/dashboard?{asked}")
    expect(other.locator("#row-list")).to_contain_text("beta")
    assert set(functions(other)) == {"beta"}
    while page.url.partition("?")[2] != "function=alpha":
        page.go_back()
    expect(page.locator("#row-list")).not_to_contain_text("beta")
    expect(page.locator("#row-list")).to_contain_text("alpha")
    assert set(functions(page)) == {"alpha"}
    assert not page.is_checked("input[name=errors]")
    page.click("#clear")
    expect(page.locator("#row-list")).to_contain_text("beta")
    assert page.url == f"{live.url}/dashboard"


@pytest.mark.parametrize(
    ("query", "said"),
    [("grep=(", "grep"), ("direction=sideways", "sideways"), ("slower=soon", "soon is no duration")],
)
def test_a_filter_that_is_none_is_said_and_the_rest_goes_on(
    live: LiveDaemon, open_page: OpenPage, complaints: Complaints, query: str, said: str
) -> None:
    page = open_page(live.url, f"/dashboard?{query}")
    expect(page.locator("#filter-problem")).to_contain_text(said)
    live.record("after-the-problem")
    expect(page.locator("#row-list")).to_contain_text("after-the-problem")
    page.click("#clear")
    expect(page.locator("#filter-problem")).to_be_hidden()
    assert complaints == []


def test_a_pause_holds_the_rows_and_counts_what_waits(live: LiveDaemon, open_page: OpenPage) -> None:
    page = open_page(live.url, "/dashboard?function=paused&function=before")
    live.record("before")
    expect(page.locator("#row-list")).to_contain_text("before")
    page.keyboard.press("p")
    for _ in range(7):
        live.record("paused")
    expect(page.locator("#pause")).to_have_text("Resume (7 wait)")
    assert "paused" not in functions(page)
    for _ in range(ROWS):
        live.record("paused")
    expect(page.locator("#pause")).to_have_text(f"Resume ({ROWS + 7} wait, the newest {ROWS} kept)")
    page.click("#pause")
    expect(page.locator("#pause")).to_have_text("Pause")
    expect(page.locator("#row-list tr")).to_have_count(ROWS)


def test_a_click_shows_where_a_request_s_time_went(live: LiveDaemon, open_page: OpenPage) -> None:
    page = open_page(live.url)
    session = live.call("traced-1")
    page.locator("#row-list td.r", has_text="traced-1").first.click()
    spans = page.locator("#trace .spans li")
    expect(spans.first).to_contain_text("chat")
    assert spans.locator(".name").all_inner_texts()[0] == "chat"
    assert any(name.startswith("kimi") for name in spans.locator(".name").all_inner_texts())
    assert f"trace=traced-1&in={session}" in page.url
    expect(page.locator("#trace .fields")).to_contain_text(session)
    page.reload()
    expect(spans.first).to_contain_text("chat")
    page.keyboard.press("Escape")
    expect(page.locator("#trace")).to_be_hidden()
    page.wait_for_url(f"{live.url}/dashboard")
    page.go_back()
    expect(spans.first).to_contain_text("chat")


def test_the_keyboard_goes_through_the_rows(live: LiveDaemon, open_page: OpenPage) -> None:
    for n in range(3):
        live.record("keyed", metadata={"place": f"number {n}"})
    page = open_page(live.url, "/dashboard?function=keyed")
    expect(page.locator("#row-list tr")).to_have_count(3)
    page.focus("#rows-scroll")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#pause")).to_contain_text("Resume")
    expect(page.locator("#row-list tr.chosen")).to_contain_text("number 1")
    page.keyboard.press("Enter")
    expect(page.locator("#trace .fields")).to_contain_text("number 1")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.locator("#pause")).to_have_text("Pause")


HOSTILE = [
    "<img src=x onerror=\"document.title='hacked'\">",
    "<script>document.title='hacked'</script>",
    "'\"><svg/onload=alert(1)>{{7*7}}${7*7}",
    "\u202egnp.exe \u0000\u001b[31m \ufeff",
    "javascript:alert(1)",
    "x" * 5000,
]


def test_what_an_event_says_is_text(live: LiveDaemon, open_page: OpenPage, complaints: Complaints) -> None:
    page = open_page(live.url, "/dashboard?errors=1")
    for text in HOSTILE:
        live.record(
            text[:200], type_=text[:60], error=text, direction="error", metadata={text: text, "request": text}
        )
    page.click("#functions-more summary")
    expect(page.locator("#row-list")).to_contain_text("x" * 250)
    expect(page.locator("#types")).to_contain_text("<img src=x")
    expect(page.locator("#functions")).to_contain_text("<script>")
    for text in HOSTILE[:2]:
        assert page.locator("#row-list td.m", has_text=text).count() == 1
    assert page.locator("main img, main script, main svg").count() == 0
    page.locator("#row-list td.m", has_text=HOSTILE[0]).click()
    expect(page.locator("#trace .fields")).to_contain_text(HOSTILE[0])
    assert page.locator("#trace img, #trace script").count() == 0
    assert page.title() == "exai"
    assert complaints == []


def test_it_fits_a_phone(live: LiveDaemon, open_page: OpenPage) -> None:
    live.record(
        "f" * 300, type_="t" * 80, error="e" * 2000, metadata={"request": "r" * 300, "k" * 90: "v" * 900}
    )
    live.call("phone-1")
    page = open_page(live.url, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    page.wait_for_function("() => performance.getEntriesByName('exai-charts-painted').length")
    expect(page.locator("#row-list")).to_contain_text("eee")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.locator("#row-list td.r", has_text="phone-1").first.click()
    expect(page.locator("#trace .spans li").first).to_contain_text("chat")
    assert page.evaluate("document.querySelector('#trace').scrollWidth <= 360")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_without_chart_js_the_numbers_are_there(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    open_page: OpenPage,
    complaints: Complaints,
) -> None:
    load = assets.load

    def without() -> object:
        return {name: asset for name, asset in bare.items() if name != assets.CHARTS}

    bare = dict(load())
    page_file = bare[assets.PAGE]
    body = page_file.body.replace(b'name="charts" content="yes"', b'name="charts" content="no"')
    bare[assets.PAGE] = assets.Asset(media_type=page_file.media_type, body=body, compressed=None, etag='"x"')
    monkeypatch.setattr(assets, "load", without)
    with live_daemon(tmp_path_factory.mktemp("bare")) as daemon:
        daemon.record("bare")
        page = open_page(daemon.url)
        expect(page.locator("#no-charts")).to_contain_text("make charts")
        assert page.locator("#charts").is_hidden()
        expect(page.locator("#types")).to_contain_text("websocket")
        expect(page.locator("#row-list")).to_contain_text("bare")
        page.context.close()
    assert complaints == []


def test_a_flood_leaves_the_page_as_big_as_before(
    live: LiveDaemon, open_page: OpenPage, complaints: Complaints
) -> None:
    page = open_page(live.url, "/dashboard?function=flood")
    nodes: list[int] = []
    for batch in range(1, 9):
        for n in range(400):
            live.record("flood", response_time_ms=n / 7, metadata={"request": f"r{n}", "session": "s"})
        page.wait_for_function(
            "(n) => Number(document.querySelector('#tail-note').textContent.replace(/\\D/g, '')) >= n",
            arg=batch * 400,
        )
        nodes.append(page.evaluate("document.querySelectorAll('*').length"))
    assert page.locator("#row-list tr").count() == ROWS
    assert max(nodes[2:]) - min(nodes[2:]) < 40
    assert complaints == []


def test_arrays_are_bounded(live: LiveDaemon, open_page: OpenPage) -> None:
    page = open_page(live.url)
    told = page.evaluate(
        """async () => {
          const { Series, Waiting } = await import('/dashboard/static/bounded.js');
          const series = new Series(300);
          for (let n = 0; n < 10000; n += 1) series.push(n, n);
          const waiting = new Waiting(50), sizes = [];
          for (const size of [10, 39, 1, 1, 200, 0, 49]) {
            waiting.add(Array.from({ length: size }, (_, n) => n));
            sizes.push([waiting.items.length, waiting.count]);
          }
          return [series.points.length, series.points[0].x, sizes, waiting.take().length, waiting.count];
        }"""
    )
    sizes = [[10, 10], [49, 49], [50, 50], [50, 51], [50, 251], [50, 251], [50, 300]]
    assert told == [300, 9700, sizes, 50, 0]


def test_addresses_and_views_are_the_same(live: LiveDaemon, open_page: OpenPage) -> None:
    page = open_page(live.url)
    whole = "?type=kimi&type=glm&direction=error&function=a+b&grep=x%26y&grep=%25&exclude=%E2%82%AC&errors=1"
    whole += "&slower=1.5s&session=s&request=r&percentile=p50&tz=UTC&trace=t%2F1&in=s"
    for query in ("", whole, "?trace=%3Cb%3E"):
        told = page.evaluate(
            """async (query) => {
              const { parse, search } = await import('/dashboard/static/address.js');
              return search(parse(query));
            }""",
            query,
        )
        assert told == query
    durations = page.evaluate(
        """async () => {
          const { durationMs } = await import('/dashboard/static/format.js');
          return ['500ms', '1.5s', '2m', '250', '10us', '-1', '1h', ''].map(durationMs);
        }"""
    )
    assert durations == [500, 1500, 120000, 250, 0.01, None, None, None]


def test_times_are_in_the_zone_asked_for(live: LiveDaemon, open_page: OpenPage) -> None:
    live.record("zoned")
    page = open_page(live.url, "/dashboard?tz=Australia/Melbourne&function=zoned", timezone_id="UTC")
    expect(page.locator("#zone-name")).to_have_text(re.compile(r"AE[DS]T"))
    there = page.locator("#row-list td.t").first.inner_text()
    page.select_option("#zone", "UTC")
    expect(page.locator("#zone-name")).to_have_text("UTC")
    here = page.locator("#row-list td.t").first.inner_text()
    hours = (int(there[:2]) - int(here[:2])) % 24
    assert hours in (10, 11)
    assert there[2:] == here[2:]


def test_light_and_dark(live: LiveDaemon, open_page: OpenPage) -> None:
    page = open_page(live.url, color_scheme="dark")
    theme = page.locator("html")
    expect(theme).to_have_attribute("data-theme", "dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    expect(theme).to_have_attribute("data-theme", "light")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    page.reload()
    expect(theme).to_have_attribute("data-theme", "light")
    page.click("#theme")
    page.click("#theme")
    expect(theme).to_have_attribute("data-theme", "dark")
    expect(page.locator("#theme")).to_have_text("Auto")
