import { beforeEach, expect, test, vi } from "vitest";
import type { FromWorker, Head, ToWorker } from "../shared/wire";
import type { Body } from "./body";
import type { Link } from "./link";
import { fromMesh } from "./mesh";
import type { Rung } from "./origin";

/** A tab that leads, as the worker sees it. */
function tab() {
  const said: Exclude<FromWorker, "ready">[] = [];
  let listener: { heard: (message: ToWorker) => void; gone: () => void } | undefined;
  const link: Link = {
    send: (message) => message !== "ready" && said.push(message),
    listen(heard, gone) {
      listener = { heard, gone };
      return () => {
        listener = undefined;
      };
    },
  };
  const id = () => (said[0] as { request: { id: number } }).request.id;
  return {
    link,
    said,
    taken: () => listener?.heard({ taken: { id: id() } }),
    hedge: () => listener?.heard({ hedge: { id: id() } }),
    head(end: number) {
      const head: Head = { id: id(), status: 200, headers: [], first: 0, end, size: end, pieces: "" };
      listener?.heard({ head });
    },
    chunk: (...bytes: number[]) => listener?.heard({ chunk: { id: id(), bytes: new Uint8Array(bytes).buffer } }),
    end: () => listener?.heard({ end: { id: id() } }),
    fallback: () => listener?.heard({ fallback: { id: id(), reason: "no_holder", delivered: 0 } }),
    vanish: () => listener?.gone(),
  };
}

/** An origin whose answer comes when the test says so. */
function origin() {
  let answer!: (response: Response) => void;
  const answered = new Promise<Response>((resolve) => {
    answer = resolve;
  });
  const asked = vi.fn(() => answered);
  return {
    asked,
    answer,
    abandoned: vi.fn(),
    as: (): Rung => ({ answer: asked, abandon: own.abandoned }),
  };
}

let leading: ReturnType<typeof tab>;
let own: ReturnType<typeof origin>;
let page: AbortController;
let carried: Body[];

function ask(rescue = false): Promise<Response | undefined> {
  return fromMesh(leading.link, {
    url: "https://site/a.png",
    range: null,
    rescue,
    patience: 100,
    beside: own.as(),
    signal: page.signal,
    carryOn: (body) => carried.push(body),
  });
}

beforeEach(() => {
  vi.useFakeTimers();
  leading = tab();
  own = origin();
  page = new AbortController();
  carried = [];
});

test("what the mesh sends is the response, and the origin is not asked", async () => {
  const response = ask();
  leading.taken();
  leading.head(3);
  leading.chunk(1, 2);
  leading.chunk(3);
  leading.end();
  expect(await (await response)?.bytes()).toEqual(new Uint8Array([1, 2, 3]));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(own.asked).not.toHaveBeenCalled();
});

test("of the mesh and a hedge, the first to answer is used and the other given up", async () => {
  const first = ask();
  leading.hedge();
  leading.head(1);
  expect(own.abandoned).toHaveBeenCalled();
  expect((await first)?.body).toBeTruthy();

  leading = tab();
  own = origin();
  const second = ask();
  leading.hedge();
  own.answer(new Response("origin"));
  expect(await (await second)?.text()).toBe("origin");
  expect(leading.said.at(-1)).toMatchObject({ cancel: { reason: "origin_won" } });
});

test("a hedge that fails is no answer: the mesh is still waited for", async () => {
  const response = ask();
  leading.hedge();
  own.answer(new Response(null, { status: 503 }));
  await vi.advanceTimersByTimeAsync(1_000);
  leading.head(0);
  leading.end();
  expect((await response)?.status).toBe(200);
});

test("a tab that does not take the request in time is given up", async () => {
  const response = ask();
  await vi.advanceTimersByTimeAsync(99);
  expect(leading.said.at(-1)).not.toMatchObject({ cancel: {} });
  await vi.advanceTimersByTimeAsync(1);
  expect(await response).toBeUndefined();
  expect(leading.said.at(-1)).toMatchObject({ cancel: { reason: "engine_busy" } });
  // Whoever is asked next may be the supernode.
  expect(own.asked).not.toHaveBeenCalled();
});

test("when nobody has it, or the tab is gone, there is no response", async () => {
  const first = ask();
  leading.fallback();
  expect(await first).toBeUndefined();
  leading = tab();
  const second = ask();
  leading.vanish();
  expect(await second).toBeUndefined();
});

test("a response that has begun is carried on when the mesh leaves it, or stands still", async () => {
  const first = ask();
  leading.head(3);
  leading.chunk(1);
  leading.vanish();
  await first;
  expect(carried.map((body) => body.position())).toEqual([1]);

  leading = tab();
  const second = ask();
  leading.head(3);
  await second;
  await vi.advanceTimersByTimeAsync(4_000);
  leading.chunk(1, 2);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(carried).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(carried.map((body) => body.position())).toEqual([1, 2]);
});

test("a page that goes away tells the mesh", async () => {
  const response = ask();
  leading.head(3);
  await (await response)?.body?.cancel();
  expect(leading.said.at(-1)).toMatchObject({ cancel: { reason: null } });
});

test("a rescue does not ask the origin again", async () => {
  const response = ask(true);
  await vi.advanceTimersByTimeAsync(100);
  expect(await response).toBeUndefined();
  expect(own.asked).not.toHaveBeenCalled();
});

test("a page that goes away before the answer has begun is waited for no more", async () => {
  const response = ask();
  leading.taken();
  page.abort();
  expect(await response).toBeUndefined();
  expect(leading.said.at(-1)).toEqual({ cancel: { id: expect.anything(), reason: null } });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(own.asked).not.toHaveBeenCalled();
});
