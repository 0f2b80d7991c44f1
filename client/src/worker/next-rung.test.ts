import { beforeEach, expect, test, vi } from "vitest";
import type { Known } from "./shelf";

const nearest = vi.hoisted(() => ({ fromSupernode: vi.fn(), originAnswered: vi.fn() }));
vi.mock("./supernode", () => nearest);
vi.mock("./link", () => ({ tell: vi.fn() }));
const { nextRung } = await import("./next-rung");

const url = "https://site/a.png";
const fetched = vi.fn<typeof fetch>();
let near!: (answer?: Response) => void;

beforeEach(() => {
  vi.clearAllMocks();
  vi.stubGlobal("fetch", fetched);
  fetched.mockImplementation(async () => new Response("origin", { headers: { "content-length": "6" } }));
  nearest.fromSupernode.mockReturnValue(
    new Promise<Response | undefined>((resolve) => {
      near = resolve;
    }),
  );
});

const rung = () => nextRung(new Request(url), { url, range: null }, {} as Known);

test("what the supernode has is not asked of the origin", async () => {
  const next = rung();
  const answers = [next.answer(), next.answer()];
  near(new Response("supernode"));
  expect(await (await Promise.race(answers)).text()).toBe("supernode");
  expect(await answers[1]).toBe(await answers[0]);
  expect(nearest.fromSupernode).toHaveBeenCalledOnce();
  expect(fetched).not.toHaveBeenCalled();
});

test("what the supernode has not is asked of the origin once, and whether that answered is said", async () => {
  const next = rung();
  const answers = [next.answer(), next.answer()];
  near();
  expect(await (await Promise.race(answers)).text()).toBe("origin");
  expect(fetched).toHaveBeenCalledOnce();
  expect(nearest.originAnswered).toHaveBeenCalledExactlyOnceWith(url, true);
});

test("what the origin has begun to send to nobody is broken off", async () => {
  const cancelled = vi.fn();
  fetched.mockResolvedValue(new Response(new ReadableStream({ cancel: cancelled })));
  const next = rung();
  const answer = next.answer();
  near();
  await answer;
  next.abandon();
  await vi.waitFor(() => expect(cancelled).toHaveBeenCalled());
});

test("the origin is not begun for nobody", async () => {
  const next = rung();
  const answer = next.answer();
  next.abandon();
  near();
  expect((await answer).type).toBe("error");
  expect(fetched).not.toHaveBeenCalled();
});
