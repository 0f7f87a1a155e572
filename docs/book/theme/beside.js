// The source beside the chapter. Without this script a name opens the source as a page of its own.
"use strict";
(() => {
  const html = document.documentElement;

  // What is wider than the page says so.
  for (const wide of document.querySelectorAll(".table-wrapper, .wide, main pre > code")) {
    const sign = Object.assign(document.createElement("p"), { className: "more", textContent: "scroll →" });
    (wide.tagName === "CODE" ? wide.parentElement : wide).before(sign);
    const look = () => {
      wide.classList.toggle("goes-on", wide.scrollLeft + wide.clientWidth < wide.scrollWidth - 4);
      sign.hidden = wide.scrollWidth <= wide.clientWidth + 4;
    };
    wide.addEventListener("scroll", look, { passive: true });
    new ResizeObserver(look).observe(wide);
  }

  const leads = (link) => /\.rs\.html(#|$)/.test(link.getAttribute("href"));
  const links = [...document.querySelectorAll("main a[href]")].filter(leads);
  if (links.length === 0) return;

  const stored = () => { try { return localStorage.getItem("piecemeal-source"); } catch { return null; } };
  const store = (value) => { try { localStorage.setItem("piecemeal-source", value); } catch { /* private */ } };

  const frame = Object.assign(document.createElement("iframe"), { name: "source", title: "Source", className: "source" });
  const button = Object.assign(document.createElement("button"), {
    id: "source-toggle", className: "icon-button", type: "button", textContent: "{ } source",
    title: "The source beside the chapter",
  });
  button.setAttribute("aria-label", button.title);

  // The frame is a document of its own, even from a file: it is told of the theme.
  const dark = () => ["coal", "navy", "ayu"].some((theme) => html.classList.contains(theme));
  const tell = () => frame.contentWindow?.postMessage({ piecemeal: dark() ? "dark" : "light" }, "*");
  addEventListener("message", (event) => { if (event.source === frame.contentWindow) tell(); });
  new MutationObserver(tell).observe(html, { attributes: true, attributeFilter: ["class"] });

  const room = matchMedia("(min-width: 1000px)");
  const show = () => {
    const wanted = stored() ?? (innerWidth >= 1200 ? "on" : "off");
    const on = room.matches && wanted === "on";
    button.hidden = !room.matches;
    button.setAttribute("aria-pressed", on);
    if (on && !frame.isConnected) {
      frame.src = links[0].getAttribute("href");
      document.body.append(frame);
      if (innerWidth <= 1750) {
        // Hidden in this page only; mdBook remembers what the reader wants elsewhere.
        document.getElementById("mdbook-sidebar-toggle-anchor").checked = false;
        document.getElementById("mdbook-sidebar").style.display = "none";
        html.classList.remove("sidebar-visible");
      }
    }
    html.classList.toggle("with-source", on);
    for (const link of links) {
      if (on) link.target = "source"; else link.removeAttribute("target");
    }
  };
  for (const link of links) {
    link.addEventListener("click", () => {
      for (const other of links) other.removeAttribute("aria-current");
      if (link.target) link.setAttribute("aria-current", "true");
    });
  }
  button.addEventListener("click", () => {
    store(html.classList.contains("with-source") ? "off" : "on");
    show();
  });
  document.querySelector("#mdbook-menu-bar .right-buttons").append(button);
  addEventListener("resize", show);
  show();
})();
