import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { basename } from "node:path";
import { decode, decodeRgba } from "../../../core/data/decode.ts";
import { openEmoji } from "../../../core/data/emoji.ts";
import { temporaryFolder } from "./image-files.ts";

describe("openEmoji", () => {
  const folder = temporaryFolder();

  it("has two drawings of each of 1,911 emoji, in pairs", async () => {
    const emoji = await openEmoji();
    assert.equal(emoji.size, 3822);
    assert.equal(emoji.google.length, 1911);
    assert.equal(emoji.twitter.length, 1911);
    assert.equal(new Set([...emoji.google, ...emoji.twitter]).size, 3822);
    for (const [i, google] of emoji.google.entries()) {
      const [one, other] = [emoji.item(google), emoji.item(emoji.twitter[i]!)];
      assert.equal(basename(one.path), basename(other.path));
      assert.ok(one.id.startsWith("google/") && other.id.startsWith("twitter/"));
      assert.equal(one.label, other.label);
      assert.ok(existsSync(one.path) && existsSync(other.path));
    }
  });

  it("is labelled by category", async () => {
    const { classNames, google, item } = await openEmoji();
    assert.equal(classNames.length, 10);
    const counts = new Map<string, number>();
    for (const index of google) {
      const name = classNames[item(index).label!]!;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    assert.deepEqual(
      [counts.get("People & Body"), counts.get("Smileys & Emotion"), counts.get("Component")],
      [386, 169, 5],
    );
    const smile = google.map(item).find(({ id }) => id === "google/1f600.png");
    assert.equal(classNames[smile!.label!], "Smileys & Emotion");
  });

  it("gives drawings of 64 x 64 pixels on white", async () => {
    const { google, item } = await openEmoji();
    const { path } = google.map(item).find(({ id }) => id === "google/1f600.png")!;
    const [image, clear] = [await decode(path), await decodeRgba(path)];
    assert.deepEqual([image.width, image.height], [64, 64]);
    assert.equal(clear.data[3], 0);
    assert.deepEqual([...image.data.subarray(0, 3)], [255, 255, 255]);
  });

  it("limits to whole pairs, evenly", async () => {
    const emoji = await openEmoji({ limit: 101 });
    assert.equal(emoji.size, 100);
    assert.deepEqual([emoji.google[49], emoji.twitter[0], emoji.twitter[49]], [49, 50, 99]);
    assert.equal(basename(emoji.item(7).path), basename(emoji.item(57).path));
    assert.ok(new Set(emoji.google.map((index) => emoji.item(index).label)).size >= 8);
    assert.notEqual(emoji.fingerprint, (await openEmoji()).fingerprint);
    await assert.rejects(openEmoji({ limit: 1 }), { code: "DATASET_LIMIT" });
  });

  it("says what to install where a package is missing", async () => {
    await assert.rejects(openEmoji({ from: [folder()] }), (error: { code?: string; fix?: string }) => {
      return error.code === "EMOJI_MISSING" && /npm i -D \S*google\S* \S*twitter\S*/.test(error.fix!);
    });
  });
});
