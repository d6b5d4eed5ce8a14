"use strict";
(function () {
  const store = document.getElementById("page-data");
  const data = store ? JSON.parse(store.textContent) : { classes: [], models: [], thresholds: [], photos: [], entries: [] };
  const photoOf = new Map(data.photos.map((photo, index) => [photo.id, index]));
  const entryOf = new Map(data.entries.map((entry) => [entry.photo + ":" + entry.class, entry]));
  const number = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const say = (value) => value === null ? "–" : number.format(value).replace("-", "−");
  const sayScore = (value) => value === null ? "–" : (value > 0 ? "+" : "") + say(value);

  function element(name, properties, children) {
    const made = Object.assign(document.createElement(name), properties || {});
    made.append(...(children || []));
    return made;
  }

  // Pictures are decoded when they come near the window, and all of them before printing.
  const waiting = new Set();
  const watcher = new IntersectionObserver((seen) => {
    for (const one of seen) if (one.isIntersecting) load(one.target);
  }, { rootMargin: "600px" });
  function load(image) {
    watcher.unobserve(image);
    waiting.delete(image);
    image.src = image.make();
  }
  function picture(alt, className, make) {
    const image = element("img", { alt, className });
    image.make = make;
    waiting.add(image);
    watcher.observe(image);
    return image;
  }
  window.addEventListener("beforeprint", () => {
    for (const image of [...waiting]) if (image.isConnected) load(image);
  });

  const jpeg = (photo) => "data:image/jpeg;base64," + photo.picture;

  function boxes(photo, classIndex) {
    const drawn = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    drawn.setAttribute("viewBox", "0 0 " + photo.width + " " + photo.height);
    drawn.setAttribute("preserveAspectRatio", "none");
    drawn.setAttribute("aria-hidden", "true");
    for (const [name, left, top, right, bottom] of photo.boxes) {
      const box = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      const place = { x: left, y: top, width: right - left, height: bottom - top };
      for (const key of Object.keys(place)) box.setAttribute(key, place[key]);
      if (name !== classIndex) box.setAttribute("class", "other");
      drawn.append(box);
    }
    return drawn;
  }

  function frame(photo, children) {
    const made = element("div", { className: "frame" }, children);
    made.style.aspectRatio = photo.width + " / " + photo.height;
    return made;
  }

  function photoFrame(photo, classIndex) {
    if (!photo.picture) return frame(photo, [element("p", { className: "none", textContent: "no thumbnail" })]);
    const shown = photo.boxes.filter((box) => box[0] === classIndex).length;
    const alt = "Photo " + photo.id + (shown ? " with " + shown + (shown === 1 ? " box of " : " boxes of ") + data.classes[classIndex] : "");
    return frame(photo, [picture(alt, "", () => jpeg(photo)), boxes(photo, classIndex)]);
  }

  function mapFrame(photo, entry, model) {
    const seen = entry && entry.models[model];
    if (!seen || !seen.map) {
      const words = data.models[model] + (seen ? ": the heatmap is missing" : " did not explain this photo");
      return frame(photo, [element("p", { className: "none", textContent: words })]);
    }
    const under = photo.picture ? [picture("", "under", () => jpeg(photo))] : [];
    const alt = "Heatmap of " + data.models[model] + " for " + data.classes[entry.class] + " in photo " + photo.id;
    return frame(photo, [...under, picture(alt, "map", () => "data:image/png;base64," + seen.map)]);
  }

  function pictures(photo, classIndex, models, withPhoto) {
    const entry = entryOf.get(photoOf.get(photo.id) + ":" + classIndex);
    const frames = models.map((model) => mapFrame(photo, entry, model));
    if (withPhoto) frames.unshift(photoFrame(photo, classIndex));
    return element("div", { className: "pics" }, frames);
  }

  // What a model said of a photo: its score held against the threshold, and what that makes of it.
  function said(entry, model) {
    const seen = entry.models[model];
    if (!seen) return "did not explain this photo";
    const limit = data.thresholds[model][entry.class];
    const held = "score " + sayScore(seen.score) + (limit === null ? "" : (seen.predicted ? " > " : " ≤ ") + "threshold " + sayScore(limit));
    const word = entry.shown ? (seen.predicted ? "recognised" : "missed") : (seen.predicted ? "wrongly recognised" : "rightly not");
    return held + ": " + word;
  }

  // A small picture that opens large: a button around it.
  function opener(photo, classIndex, models, withPhoto) {
    const button = element("button", { type: "button", className: "open" }, [pictures(photo, classIndex, models, withPhoto)]);
    button.setAttribute("aria-label", "Open photo " + photo.id + " large");
    button.setAttribute("aria-haspopup", "dialog");
    button.addEventListener("click", () => large.show(button));
    button.photo = photo;
    button.classIndex = classIndex;
    button.only = models;
    return button;
  }

  function fillTiles() {
    for (const list of document.querySelectorAll(".shots[data-class]")) {
      const models = list.dataset.models.split(",").map(Number), classIndex = Number(list.dataset.class);
      const withPhoto = "photoToo" in list.dataset;
      list.style.setProperty("--columns", models.length + (withPhoto ? 1 : 0));
      for (const item of list.querySelectorAll("li")) {
        const index = photoOf.get(item.dataset.image), photo = data.photos[index];
        if (!photo) continue;
        item.prepend(opener(photo, classIndex, models, withPhoto));
        const entry = entryOf.get(index + ":" + classIndex);
        if (entry) item.querySelector(".caption").append(...lines(entry, models));
      }
    }
  }

  function lines(entry, models) {
    return models.map((model) => {
      const wrong = entry.models[model] && entry.models[model].predicted !== entry.shown;
      const name = models.length > 1 ? data.models[model] + ": " : "";
      return element("span", { className: wrong ? "said wrong" : "said", textContent: name + said(entry, model) });
    });
  }

  // One photo large, with the heatmaps of all models; the arrow keys go through its neighbours.
  const large = (function () {
    const dialog = document.getElementById("large");
    if (!dialog) return { show() {} };
    const body = document.getElementById("large-body"), title = document.getElementById("large-title");
    const place = document.getElementById("large-place");
    let around = [], at = 0;
    function draw() {
      const { photo, classIndex } = around[at];
      const entry = entryOf.get(photoOf.get(photo.id) + ":" + classIndex);
      title.textContent = photo.id;
      const shows = entry ? (entry.shown ? "shows " : "does not show ") + data.classes[classIndex] : "";
      const own = element("figure", {}, [photoFrame(photo, classIndex), element("figcaption", { textContent: shows })]);
      const maps = entry ? data.models.map((name, model) => element("figure", {}, [mapFrame(photo, entry, model), caption(entry, model)])) : [];
      body.replaceChildren(element("div", { className: "wide-pics" }, [own, ...maps]));
      for (const made of body.querySelectorAll(".frame")) made.style.maxWidth = "calc(62vh * " + photo.width / photo.height + ")";
      for (const image of body.querySelectorAll("img")) load(image);
      place.textContent = (at + 1) + " of " + around.length;
      document.getElementById("large-before").disabled = at === 0;
      document.getElementById("large-after").disabled = at === around.length - 1;
    }
    function go(step) {
      const to = at + step;
      if (to < 0 || to >= around.length) return;
      at = to;
      draw();
    }
    document.getElementById("large-close").addEventListener("click", () => dialog.close());
    document.getElementById("large-before").addEventListener("click", () => go(-1));
    document.getElementById("large-after").addEventListener("click", () => go(1));
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") go(-1);
      if (event.key === "ArrowRight") go(1);
    });
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    dialog.addEventListener("close", () => around[at] && around[at].focus());
    return {
      show(button) {
        around = [...button.closest(".shots, .preview").querySelectorAll("button.open")];
        at = around.indexOf(button);
        draw();
        dialog.showModal();
      },
    };
  }());

  function caption(entry, model) {
    const seen = entry.models[model], parts = [element("strong", { textContent: data.models[model] }), " " + said(entry, model)];
    if (seen && seen.ratio !== null) parts.push(" · μ " + say(seen.ratio));
    if (seen && seen.cluster !== null) parts.push(" · group " + (seen.cluster + 1));
    return element("figcaption", {}, parts);
  }

  // Tables: a heading is a button; the first press shows the largest number, or the first name.
  function sortable(table) {
    const body = table.tBodies[0];
    const buttons = [...table.querySelectorAll("th button[data-sort]")];
    for (const button of buttons) button.addEventListener("click", () => {
      const heading = button.closest("th"), column = heading.cellIndex, text = button.dataset.sort === "text";
      const before = heading.getAttribute("aria-sort");
      const order = before === "none" ? (text ? "ascending" : "descending") : before === "ascending" ? "descending" : "ascending";
      for (const other of buttons) other.closest("th").setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const value = (row) => row.cells[column].dataset.value;
      const rows = [...body.rows];
      rows.sort((a, b) => {
        const x = value(a), y = value(b);
        if (text) return sign * x.localeCompare(y, "en", { numeric: true });
        if (x === "" || y === "") return (x === "") - (y === "");
        return sign * (Number(x) - Number(y));
      });
      body.append(...rows);
    });
  }

  // The gallery.
  const cards = document.getElementById("gallery-cards");
  const step = window.matchMedia("(max-width: 44rem)").matches ? 8 : 24;
  let chosen = [], shown = 0;

  const every = data.models.map((name, model) => model);

  function card(entry) {
    const photo = data.photos[entry.photo];
    const words = element("p", { className: "caption" }, [element("span", { className: "id", textContent: photo.id }), ...lines(entry, every)]);
    return element("li", {}, [opener(photo, entry.class, every, true), words]);
  }

  function errors(entry) {
    const found = [];
    entry.models.forEach((seen, model) => {
      if (seen && seen.predicted !== entry.shown) found.push(model);
    });
    return found;
  }

  function more() {
    const next = chosen.slice(shown, shown + step);
    cards.append(...next.map(card));
    shown += next.length;
    document.getElementById("gallery-more").hidden = shown >= chosen.length;
    const count = document.getElementById("gallery-count");
    count.textContent = chosen.length ? shown + " of " + chosen.length + " shown" : "No photo of this kind.";
  }

  function filters(entries) {
    const list = [["all", "all photos", entries]];
    const many = data.models.length > 1;
    data.models.forEach((name, model) => {
      const rated = entries.filter((entry) => entry.models[model] && entry.models[model].ratio !== null);
      const by = many ? ", " + name : "";
      if (!rated.length) return;
      const up = [...rated].sort((a, b) => a.models[model].ratio - b.models[model].ratio);
      list.push(["high" + model, "highest context first" + by, [...up].reverse()], ["low" + model, "lowest context first" + by, up]);
    });
    list.push(["missed", "errors: missed", entries.filter((entry) => entry.shown && errors(entry).length)]);
    list.push(["wrong", "errors: wrongly predicted", entries.filter((entry) => !entry.shown && errors(entry).length)]);
    data.models.forEach((name, model) => {
      const groups = new Set(entries.map((entry) => entry.models[model] && entry.models[model].cluster));
      for (const group of [...groups].filter((one) => one !== null && one !== undefined).sort((a, b) => a - b)) {
        const members = entries.filter((entry) => entry.models[model] && entry.models[model].cluster === group);
        list.push(["group" + model + "." + group, "group " + (group + 1) + (many ? ", " + name : ""), members]);
      }
    });
    return list;
  }

  function gallery() {
    const classes = document.getElementById("gallery-class"), filter = document.getElementById("gallery-filter");
    let list = [];
    const present = new Set(data.entries.map((entry) => entry.class));
    data.classes.forEach((name, index) => {
      if (present.has(index)) classes.append(element("option", { value: String(index), textContent: name }));
    });
    function show() {
      const found = list.find((one) => one[0] === filter.value) || list[0];
      chosen = found[2];
      shown = 0;
      cards.replaceChildren();
      more();
    }
    function open() {
      const kept = filter.value;
      list = filters(data.entries.filter((entry) => entry.class === Number(classes.value)));
      filter.replaceChildren(...list.map(([key, words, entries]) =>
        element("option", { value: key, textContent: words + " (" + entries.length + ")", disabled: !entries.length })));
      const again = list.find((one) => one[0] === kept && one[2].length);
      filter.value = again ? kept : "all";
      show();
    }
    classes.addEventListener("change", open);
    filter.addEventListener("change", show);
    document.getElementById("gallery-more").addEventListener("click", () => {
      const first = shown;
      more();
      const next = cards.children[first];
      if (next) next.querySelector("button").focus({ preventScroll: true });
    });
    cards.style.setProperty("--columns", 1 + data.models.length);
    const slider = document.getElementById("overlay");
    const mix = () => {
      document.documentElement.style.setProperty("--mix", String(slider.value / 100));
      slider.setAttribute("aria-valuetext", slider.value + " % heatmap");
    };
    slider.addEventListener("input", mix);
    mix();
    const check = document.getElementById("show-boxes");
    const toggle = () => document.body.classList.toggle("no-boxes", !check.checked);
    check.addEventListener("change", toggle);
    toggle();
    for (const link of document.querySelectorAll("[data-open-class]")) link.addEventListener("click", () => {
      classes.value = link.dataset.openClass;
      if (classes.value) open();
    });
    open();
  }

  // A map of heatmaps: one stop for Tab, arrow keys within; pointing or focus shows the photo.
  function scatter(drawing) {
    const marks = [...drawing.querySelectorAll(".mark")];
    const preview = drawing.closest(".embedding").querySelector(".preview");
    function show(mark) {
      for (const other of marks) other.classList.toggle("current", other === mark);
      const id = mark.dataset.image, photo = data.photos[photoOf.get(id)];
      const words = element("p", { className: "caption" }, [element("span", { className: "id", textContent: mark.getAttribute("aria-label") })]);
      const entry = entryOf.get(photoOf.get(id) + ":" + drawing.dataset.class);
      if (entry) words.append(...lines(entry, [Number(drawing.dataset.model)]));
      const content = photo ? [opener(photo, Number(drawing.dataset.class), [Number(drawing.dataset.model)], true), words]
        : [words, element("p", { className: "soft", textContent: "Its picture is in the pages of its class." })];
      preview.replaceChildren(...content);
    }
    function go(mark) {
      for (const other of marks) other.setAttribute("tabindex", other === mark ? "0" : "-1");
      mark.focus();
    }
    if (marks.length) show(marks[0]);
    marks.forEach((mark, index) => {
      mark.addEventListener("pointerenter", () => show(mark));
      mark.addEventListener("focus", () => show(mark));
      mark.addEventListener("click", () => go(mark));
      mark.addEventListener("keydown", (event) => {
        const last = marks.length - 1;
        const to = { ArrowRight: index + 1, ArrowDown: index + 1, ArrowLeft: index - 1, ArrowUp: index - 1, Home: 0, End: last }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        go(marks[Math.min(Math.max(to, 0), last)]);
      });
    });
  }

  function contents() {
    const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]));
    const inView = new IntersectionObserver((seen) => {
      for (const one of seen) if (one.isIntersecting) {
        for (const link of links.values()) link.removeAttribute("aria-current");
        links.get(one.target.id).setAttribute("aria-current", "true");
      }
    }, { rootMargin: "-10% 0px -80% 0px" });
    for (const id of links.keys()) inView.observe(document.getElementById(id));
  }

  // Sections that fold: a link into one opens it.
  function folds() {
    const every = [...document.querySelectorAll("details.fold")], button = document.getElementById("fold-all");
    function reveal(id) {
      const target = id && document.getElementById(id);
      if (!target) return;
      for (let one = target.closest("details"); one; one = one.parentElement.closest("details")) one.open = true;
      const own = target.querySelector(":scope > details.fold");
      if (own) own.open = true;
      target.scrollIntoView();
    }
    document.addEventListener("click", (event) => {
      const link = event.target.closest("a[href^='#']");
      if (link) reveal(decodeURIComponent(link.hash.slice(1)));
    });
    window.addEventListener("hashchange", () => reveal(decodeURIComponent(location.hash.slice(1))));
    if (location.hash) reveal(decodeURIComponent(location.hash.slice(1)));
    if (button) button.addEventListener("click", () => {
      const open = button.getAttribute("aria-pressed") !== "true";
      for (const one of every) one.open = open;
      button.setAttribute("aria-pressed", String(open));
      button.textContent = open ? "Fold all sections" : "Open all sections";
    });
  }

  // Words that explain themselves on hover and focus; Escape hides the explanation.
  function words() {
    const tip = document.getElementById("tip");
    if (!tip) return;
    let owner = null;
    function hide() {
      if (owner) owner.removeAttribute("aria-describedby");
      owner = null;
      tip.hidden = true;
    }
    function show(word) {
      const meaning = document.getElementById("word-" + word.dataset.word);
      if (!meaning) return;
      hide();
      owner = word;
      tip.textContent = meaning.nextElementSibling.textContent;
      tip.hidden = false;
      word.setAttribute("aria-describedby", "tip");
      settle();
    }
    function settle() {
      if (!owner) return;
      const place = owner.getBoundingClientRect(), width = tip.offsetWidth, height = tip.offsetHeight;
      tip.style.left = Math.max(16, Math.min(place.left, document.documentElement.clientWidth - width - 16)) + "px";
      tip.style.top = (place.bottom + height + 8 < window.innerHeight ? place.bottom + 6 : place.top - height - 6) + "px";
    }
    for (const word of document.querySelectorAll("[data-word]")) {
      word.addEventListener("pointerenter", () => show(word));
      word.addEventListener("focus", () => show(word));
      word.addEventListener("blur", () => { if (owner === word) hide(); });
      word.addEventListener("pointerleave", (event) => {
        if (owner === word && event.relatedTarget !== tip && document.activeElement !== word) hide();
      });
    }
    tip.addEventListener("pointerleave", hide);
    window.addEventListener("scroll", settle, { passive: true });
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  }

  // Tables: taken away as CSV, with the ends of intervals in columns of their own; a cue where columns are hidden.
  const text = (cell) => cell.textContent.replace(/\s+/g, " ").trim();
  const quoted = (value) => '"' + (/^[=+\-@\t\r]/.test(value) && isNaN(Number(value)) ? "'" : "") + value.replace(/"/g, '""') + '"';
  function csv(table) {
    const body = [...table.tBodies[0].rows], head = [...table.tHead.rows[0].cells];
    const between = head.map((cell, index) => body.some((row) => row.cells[index] && "low" in row.cells[index].dataset));
    const names = head.flatMap((cell, index) => [text(cell), ...(between[index] ? [text(cell) + ", low", text(cell) + ", high"] : [])]);
    const rows = body.map((row) => head.flatMap((one, index) => {
      const cell = row.cells[index], flat = cell && "value" in cell.dataset && !cell.querySelector(".flag");
      const value = !cell ? "" : flat ? cell.dataset.value : text(cell);
      return [value, ...(between[index] ? [cell && cell.dataset.low || "", cell && cell.dataset.high || ""] : [])];
    }));
    return [names, ...rows].map((row) => row.map(quoted).join(",")).join("\n") + "\n";
  }
  function frames() {
    for (const frame of document.querySelectorAll(".table")) {
      const scroll = frame.querySelector(".scroll"), button = frame.querySelector("button.csv");
      button.addEventListener("click", () => {
        const link = element("a", { download: button.dataset.file, href: "data:text/csv;charset=utf-8," + encodeURIComponent(csv(frame.querySelector("table"))) });
        document.body.append(link);
        link.click();
        link.remove();
      });
      const look = () => frame.toggleAttribute("data-wide", scroll.scrollLeft + scroll.clientWidth < scroll.scrollWidth - 2);
      scroll.addEventListener("scroll", look, { passive: true });
      new ResizeObserver(look).observe(scroll);
    }
  }

  fillTiles();
  document.querySelectorAll("table.sortable").forEach(sortable);
  document.querySelectorAll(".scatter").forEach(scatter);
  if (cards) gallery();
  contents();
  frames();
  words();
  folds();
}());
