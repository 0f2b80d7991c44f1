import { expect, test } from "vitest";
import { isLocal, withoutLocal } from "./candidates";

const line = (address: string) => `candidate:1 1 udp 2122260223 ${address} 54321 typ host`;

test("names and private addresses are local, others are not", () => {
  for (const address of ["a1b2.local", "10.1.2.3", "192.168.0.1", "172.16.0.1", "fe80::1", "fd00::1", "127.0.0.1"]) {
    expect(isLocal(line(address)), address).toBe(true);
  }
  for (const address of ["203.0.113.7", "172.32.0.1", "2001:db8::1"])
    expect(isLocal(line(address)), address).toBe(false);
});

test("only local candidates leave a description", () => {
  const sdp = ["v=0", `a=${line("192.168.0.1")}`, `a=${line("203.0.113.7")}`, "a=end-of-candidates", ""].join("\r\n");
  expect(withoutLocal(sdp)).toBe(["v=0", `a=${line("203.0.113.7")}`, "a=end-of-candidates", ""].join("\r\n"));
});
