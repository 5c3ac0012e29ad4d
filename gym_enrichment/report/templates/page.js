"use strict";
// What is shown of gyms and reviews is untrusted: it only ever becomes text nodes, never markup.
(() => {
  const PER_PAGE = 24;
  const STATUS = {
    verified: ["✓", "vérifié"],
    repaired: ["≈", "corrigé d’après les avis"],
    unverified: ["?", "non vérifié"],
  };
  const STATE = {
    skipped: "Aucun avis à lire.",
    failed: "Le dernier essai a échoué.",
    pending: "En attente d’enrichissement.",
  };
  const { gyms, reviews } = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const number = new Intl.NumberFormat("fr");
  const fold = (text) =>
    text.toLowerCase().replaceAll("œ", "oe").replaceAll("æ", "ae").normalize("NFD").replace(/\p{M}/gu, "");

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  const plural = (count, word) => `${number.format(count)} ${word}${count > 1 ? "s" : ""}`;

  // Theme: what the system wants, until the button is used.
  const theme = at("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
  const remembered = (value) => {
    try {
      if (value) localStorage.setItem("theme", value);
      return localStorage.getItem("theme");
    } catch {
      return null; // storage may be closed to files
    }
  };
  const sayTheme = () => { theme.textContent = isDark() ? "Thème clair" : "Thème sombre"; };
  if (["light", "dark"].includes(remembered())) document.documentElement.dataset.theme = remembered();
  theme.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    remembered(document.documentElement.dataset.theme);
    sayTheme();
  });
  dark.addEventListener("change", sayTheme);
  theme.hidden = false;
  sayTheme();

  // One gym
  function evidence(label, fact) {
    const [, checked] = STATUS[fact.status] ?? ["", "statut inconnu"];
    const by = fact.of ? `, ${number.format(fact.of)} avis à l’appui` : "";
    const title = make("p", {}, make("b", {}, label), ` : ${checked}${by}`);
    const quotes = fact.reviews.map((key) => make("blockquote", { dir: "auto", tabindex: "0" }, reviews[key]));
    if (fact.byName) quotes.push(make("p", {}, "Le nom de la salle le dit."));
    if (fact.of > fact.reviews.length) {
      quotes.push(make("p", { class: "muted" }, `${number.format(fact.of - fact.reviews.length)} autres avis non cités ici.`));
    }
    return [title, ...quotes];
  }

  function chips(gym, index) {
    const facts = [...gym.amenities];
    if (gym.women) facts.unshift([`Femmes : ${gym.womenHours ?? "espace ou horaires réservés"}`, gym.women]);
    if (!facts.length) return [];
    const proof = make("div", { class: "proof", id: `proof-${index}`, role: "region", "aria-label": "Avis à l’appui" });
    proof.hidden = true;
    const buttons = facts.map(([label, fact]) => {
      const [mark, checked] = STATUS[fact.status] ?? ["", ""];
      const button = make(
        "button",
        { type: "button", "aria-expanded": "false", "aria-controls": proof.id },
        label,
        make("span", { class: "mark", "aria-hidden": "true" }, ` ${mark}`),
        make("span", { class: "sr" }, ` (${checked})`),
      );
      if (fact === gym.women) button.classList.add("women");
      button.addEventListener("click", () => {
        const open = button.getAttribute("aria-expanded") === "false";
        for (const other of buttons) other.setAttribute("aria-expanded", String(open && other === button));
        proof.hidden = !open;
        proof.replaceChildren(...(open ? evidence(label, fact) : []));
      });
      return button;
    });
    return [make("ul", { class: "chips" }, ...buttons.map((button) => make("li", {}, button))), proof];
  }

  function hours(gym) {
    if (!gym.hours.length) return make("p", { class: "muted" }, "Horaires non communiqués.");
    const lines = gym.hours.map((line) => make("li", {}, line));
    const [mark, checked] = STATUS[gym.hoursStatus] ?? ["", ""];
    return make(
      "details",
      { class: "hours" },
      make("summary", {}, gym.sentence ?? "Horaires", make("span", { class: "muted", title: checked }, ` ${mark}`)),
      make("ul", {}, ...lines),
    );
  }

  function card(gym, index) {
    const place = [gym.address, gym.address?.includes(gym.city) ? null : gym.city].filter(Boolean).join(", ");
    const parts = [make("h3", { dir: "auto" }, gym.name), make("p", { class: "muted place", dir: "auto" }, place)];
    if (gym.text) {
      const [mark, checked] = STATUS[gym.textStatus] ?? ["", ""];
      parts.push(make("p", { dir: "auto" }, gym.text, make("span", { class: "muted", title: `Description : ${checked}` }, ` ${mark}`)));
    }
    if (gym.legacy) parts.push(make("p", { class: "muted" }, "Reprise de l’ancien pipeline."));
    if (STATE[gym.state]) parts.push(make("p", { class: "muted" }, STATE[gym.state]));
    return make("li", {}, make("article", { class: "gym" }, ...parts, ...chips(gym, index), hours(gym)));
  }

  // Filters
  const folded = gyms.map((gym) => fold([gym.name, gym.city, gym.address, gym.text].filter(Boolean).join(" \n ")));
  const counted = (names) => {
    const counts = new Map();
    for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
    return [...counts].sort((a, b) => a[0].localeCompare(b[0], "fr"));
  };
  const commonFirst = (counts) => counts.sort((a, b) => b[1] - a[1]);
  for (const [city, count] of counted(gyms.map((gym) => gym.city).filter(Boolean))) {
    at("city").append(make("option", { value: city }, `${city} (${count})`));
  }
  for (const [label, count] of commonFirst(counted(gyms.flatMap((gym) => gym.amenities.map(([name]) => name))))) {
    at("amenities").append(
      make("label", { class: "check" }, make("input", { type: "checkbox", value: label }), make("span", {}, `${label} (${count})`)),
    );
  }

  let found = [];
  let page = 0;

  function draw() {
    const pages = Math.max(1, Math.ceil(found.length / PER_PAGE));
    const shown = found.slice(page * PER_PAGE, (page + 1) * PER_PAGE);
    at("gallery").replaceChildren(...shown.map((index) => card(gyms[index], index)));
    at("count").textContent = found.length ? plural(found.length, "salle") : "Aucune salle ne correspond.";
    at("page").textContent = `Page ${page + 1} sur ${pages}`;
    at("previous").disabled = page === 0;
    at("next").disabled = page + 1 === pages;
    at("pages").hidden = pages === 1;
  }

  function filter() {
    const words = fold(at("words").value).split(/\s+/).filter(Boolean);
    const city = at("city").value;
    const wanted = [...at("amenities").querySelectorAll("input:checked")].map((box) => box.value);
    found = gyms.flatMap((gym, index) => {
      const has = new Set(gym.amenities.map(([label]) => label));
      const fits =
        words.every((word) => folded[index].includes(word)) &&
        (!city || gym.city === city) &&
        (!at("women").checked || gym.women) &&
        wanted.every((label) => has.has(label));
      return fits ? [index] : [];
    });
    at("chosen").textContent = wanted.length ? `(${plural(wanted.length, "choisi")})` : "";
    page = 0;
    draw();
  }

  function turn(by) {
    page += by;
    draw();
    at("count").focus();
    at("salles").scrollIntoView();
  }

  at("filters").addEventListener("input", filter);
  at("filters").addEventListener("submit", (event) => event.preventDefault());
  at("filters").addEventListener("reset", () => setTimeout(filter));
  at("previous").addEventListener("click", () => turn(-1));
  at("next").addEventListener("click", () => turn(1));
  at("filters").hidden = false;
  filter();
})();
