// The page's own behaviour: sources beside the answer, copy, votes with a reason, edit and resend, files, light and dark.
(() => {
  "use strict";
  const send = (kind, data) => window.coachBus && window.coachBus(kind, data);
  const closest = (node, selector) => node instanceof Element ? node.closest(selector) : null;
  const narrow = () => window.matchMedia("(max-width: 960px)").matches;
  let opener = null;
  let hint = null;  // what the panel says before a source is opened

  function showSource(button) {
    const turn = closest(button, ".turn");
    const panel = document.getElementById("source-panel");
    if (!turn || !panel) return;
    const card = turn.querySelector(`.sources .source[data-n="${CSS.escape(button.dataset.n)}"]`);
    if (!card) return;
    if (panel.offsetParent === null && !narrow()) {  // another tab is open: show the source under the answer
      turn.querySelector("details.sources").open = true;
      card.scrollIntoView({ block: "nearest" });
      return;
    }
    document.querySelectorAll(".cite.open").forEach((b) => b.classList.remove("open"));
    turn.querySelectorAll(`.cite[data-n="${CSS.escape(button.dataset.n)}"]`).forEach((b) => b.classList.add("open"));
    const body = panel.querySelector(".panel-body");
    hint = hint || body.innerHTML;
    body.replaceChildren(card.cloneNode(true));
    panel.classList.add("shown");
    opener = button;
    const mark = body.querySelector("mark");
    if (mark) mark.scrollIntoView({ block: "nearest" });
    if (narrow()) panel.querySelector(".panel-close").focus();
  }

  function closePanel() {
    const panel = document.getElementById("source-panel");
    if (!panel || !panel.classList.contains("shown")) return;
    panel.classList.remove("shown");
    panel.querySelector(".panel-body").innerHTML = hint;
    document.querySelectorAll(".cite.open").forEach((b) => b.classList.remove("open"));
    if (opener && opener.isConnected) opener.focus();
  }

  function copyAnswer(button) {
    const turn = closest(button, ".turn");
    const body = turn.querySelector(".answer-body").cloneNode(true);
    body.querySelectorAll(".cite").forEach((c) => c.replaceWith(` [${c.dataset.n}]`));
    body.querySelectorAll("p, li, tr, h4").forEach((p) => p.append("\n"));
    const sources = [...turn.querySelectorAll(".sources .source")].map((s) => {
      const link = s.querySelector(".where a");
      return `[${s.dataset.n}] ${s.querySelector("h4").textContent} ${link ? link.href : ""}`.trim();
    });
    const text = body.textContent.trim() + (sources.length ? "\n\nSources\n" + sources.join("\n") : "");
    navigator.clipboard.writeText(text).then(() => {
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }

  function editQuestion(button) {
    const turn = closest(button, ".turn");
    const bubble = turn.querySelector(".question");
    const area = document.createElement("textarea");
    area.className = "edit-box";
    area.value = bubble.querySelector(".asked").innerText;
    area.setAttribute("aria-label", "Your question");
    const again = document.createElement("button");
    again.type = "button";
    again.className = "small primary";
    again.textContent = "Ask again";
    again.onclick = () => area.value.trim() &&
      send("submit", { act: "edit", position: Number(turn.dataset.position), text: area.value });
    const leave = document.createElement("button");
    leave.type = "button";
    leave.className = "small";
    leave.textContent = "Leave it";
    const before = [...bubble.childNodes];
    leave.onclick = () => bubble.replaceChildren(...before);
    area.onkeydown = (e) => {
      if (e.key === "Enter" && !e.shiftKey) { e.preventDefault(); again.click(); }
      if (e.key === "Escape") leave.click();
    };
    const row = document.createElement("div");
    row.append(again, leave);
    bubble.replaceChildren(area, row);
    area.focus();
  }

  function vote(button, reason) {
    const turn = closest(button, ".turn");
    const on = button.getAttribute("aria-pressed") === "true";
    const kind = on && reason === undefined ? "" : button.dataset.vote;
    turn.querySelectorAll("[data-vote]").forEach((b) =>
      b.setAttribute("aria-pressed", String(kind !== "" && b.dataset.vote === kind)));
    const why = turn.querySelector(".why");
    why.hidden = kind !== "down" || reason !== undefined;
    if (!why.hidden) why.querySelector("input").focus();
    send("click", { act: "vote", answer: turn.dataset.answer, vote: kind, reason: reason || "" });
  }

  function setTheme(dark) {
    document.body.classList.toggle("dark", dark);
    document.documentElement.classList.toggle("dark", dark);
    try { localStorage.setItem("coach-theme", dark ? "dark" : "light"); } catch { /* a browser without storage */ }
    document.querySelectorAll(".theme-toggle").forEach((b) => b.setAttribute("aria-pressed", String(dark)));
  }

  function readFile(input) {
    const file = input.files && input.files[0];
    const zone = closest(input, ".drop");
    if (!file || !zone) return;
    const said = zone.querySelector(".drop-said");
    const most = Number(zone.dataset.most);
    if (file.size > most) { said.textContent = `${file.name} is larger than ${most / 1e6} MB.`; input.value = ""; return; }
    const reader = new FileReader();
    reader.onload = () => {
      const data = String(reader.result).split(",", 2)[1] || "";
      zone.dispatchEvent(new CustomEvent("coach-file", { bubbles: true, detail: { name: file.name, type: file.type, data } }));
      said.textContent = `${file.name} is ready (${Math.max(1, Math.round(file.size / 1000))} kB)`;
      zone.classList.add("has-file");
      const remove = closest(zone, ".field").querySelector('[data-act="forget-file"]');
      remove.hidden = false;
      if (file.type.startsWith("image/")) {
        const look = zone.querySelector("img") || zone.insertBefore(document.createElement("img"), said);
        look.alt = "";
        look.src = String(reader.result);
      }
    };
    reader.readAsDataURL(file);
  }

  function forgetFile(button) {
    const field = closest(button, ".field");
    const zone = field.querySelector(".drop");
    const said = zone.querySelector(".drop-said");
    zone.dispatchEvent(new CustomEvent("coach-file", { bubbles: true, detail: null }));
    zone.classList.remove("has-file");
    zone.querySelectorAll("img").forEach((look) => look.remove());
    zone.querySelector("input").value = "";
    said.textContent = said.dataset.hint;
    button.hidden = true;
  }

  // After everything was deleted: nothing of it stays in the page either, and the new page says so.
  window.coachStartAnew = (said) => {
    localStorage.removeItem("coach-conversation");
    sessionStorage.setItem("coach-said", said);
    location.reload();
  };

  function showToast(said) {
    const toast = document.createElement("div");
    toast.id = "toast";
    toast.setAttribute("role", "status");
    const close = document.createElement("button");
    close.type = "button";
    close.className = "small";
    close.textContent = "Close";
    close.onclick = () => toast.remove();
    toast.append(said, close);
    document.body.append(toast);
  }

  window.coachBringUp = (id) => { if (narrow()) document.getElementById(id).scrollIntoView({ behavior: "smooth" }); };

  const acts = {
    ask: (b) => send("submit", { act: "ask", text: b.dataset.text }),
    retry: (b) => send("submit", { act: "retry", position: Number(closest(b, ".turn").dataset.position) }),
    edit: editQuestion,
    copy: copyAnswer,
    open: (b) => { send("click", { act: "open", conversation: b.dataset.id }); },
    remove: (b) => {
      if (b.dataset.sure) { send("click", { act: "delete", conversation: b.dataset.id }); return; }
      b.dataset.sure = "1";
      const was = b.textContent;
      b.textContent = "Really delete?";
      setTimeout(() => { if (b.isConnected) { delete b.dataset.sure; b.textContent = was; } }, 4000);
    },
    "send-reason": (b) => {
      const turn = closest(b, ".turn");
      vote(turn.querySelector('[data-vote="down"]'), turn.querySelector(".why input").value);
    },
    "close-panel": closePanel,
    "forget-file": forgetFile,
    tab: (b) => [...document.querySelectorAll("#tabs [role=tab]")]
      .find((tab) => tab.textContent.trim() === b.dataset.tab)?.click(),
    theme: () => setTheme(!document.body.classList.contains("dark")),
  };

  document.addEventListener("click", (event) => {
    const cite = closest(event.target, ".cite");
    if (cite) { showSource(cite); return; }
    const voted = closest(event.target, "[data-vote]");
    if (voted) { vote(voted); return; }
    const button = closest(event.target, "[data-act]");
    if (button && acts[button.dataset.act]) acts[button.dataset.act](button);
  });
  document.addEventListener("change", (event) => {
    if (event.target instanceof HTMLInputElement && event.target.type === "file" && closest(event.target, ".drop")) {
      readFile(event.target);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") closePanel();
    if (event.key === "Enter" && closest(event.target, ".why")) {
      event.preventDefault();
      acts["send-reason"](event.target);
    }
  });

  // A source goes when its answer goes: another conversation was opened, or everything was deleted.
  function closeOrphan() {
    const shown = document.querySelector("#source-panel.shown .source");
    const kept = [...document.querySelectorAll(".turn .sources .source")];
    if (shown && !kept.some((card) => card.textContent === shown.textContent)) closePanel();
  }

  let follow = true;
  window.addEventListener("scroll", () => {
    follow = window.innerHeight + window.scrollY > document.documentElement.scrollHeight - 160;
  }, { passive: true });
  new MutationObserver((changes) => {
    if (!changes.some((c) => closest(c.target, "#live") || closest(c.target, "#thread"))) return;
    requestAnimationFrame(closeOrphan);
    if (follow) requestAnimationFrame(() => window.scrollTo({ top: document.documentElement.scrollHeight }));
  }).observe(document.documentElement, { childList: true, subtree: true, characterData: true });

  function begin() {
    document.documentElement.lang = "en";
    let kept = null;
    let said = null;
    try { said = sessionStorage.getItem("coach-said"); sessionStorage.removeItem("coach-said"); } catch { /* no storage */ }
    if (said) showToast(said);
    try { kept = localStorage.getItem("coach-theme"); } catch { /* a browser without storage */ }
    if (kept) {
      const dark = kept === "dark";
      setTheme(dark);
      // Gradio sets the class once more when it mounts; follow it for the first seconds.
      const watcher = new MutationObserver(() => {
        if (document.body.classList.contains("dark") !== dark) document.body.classList.toggle("dark", dark);
      });
      watcher.observe(document.body, { attributes: true, attributeFilter: ["class"] });
      setTimeout(() => watcher.disconnect(), 3000);
    }
  }
  // Gradio adds this script when it builds the page, which may be after the document was read.
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
