// The theme: that of the chapter beside it, or the one that was chosen in the book.
"use strict";
(() => {
  const html = document.documentElement;
  const take = (theme) => {
    html.classList.toggle("dark", theme === "dark");
    html.classList.toggle("light", theme === "light");
  };
  if (parent !== window) {
    html.classList.add("framed");
    addEventListener("message", (event) => {
      if (event.source === parent && ["dark", "light"].includes(event.data?.piecemeal)) take(event.data.piecemeal);
    });
    parent.postMessage({ piecemeal: "ready" }, "*");
  } else {
    try {
      const chosen = localStorage.getItem("mdbook-theme");
      if (chosen) take(["coal", "navy", "ayu"].includes(chosen) ? "dark" : "light");
    } catch { /* The system's theme. */ }
  }
  addEventListener("DOMContentLoaded", () => {
    const tabs = document.querySelector("nav");
    if (!tabs) return;
    const look = () => tabs.classList.toggle("goes-on", tabs.scrollLeft + tabs.clientWidth < tabs.scrollWidth - 4);
    tabs.scrollLeft = tabs.querySelector("[aria-current]").offsetLeft - 60;
    tabs.addEventListener("scroll", look, { passive: true });
    new ResizeObserver(look).observe(tabs);
  });
})();
