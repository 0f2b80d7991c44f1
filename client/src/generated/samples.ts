// Written by `cargo xtask types`: values as the engine and the node write them. Nothing uses this file; the
// type checker compares it with the types beside it.
import type { Input } from "./Input";
import type { Output } from "./Output";
import type { Policy } from "./Policy";
import type { Reason } from "./Reason";
import type { Setup } from "./Setup";
import type { ToNode } from "./ToNode";
import type { ToPeer } from "./ToPeer";

export const reasons = [
  "not_admitted",
  "stale",
  "no_holder",
  "origin_faster",
  "origin_won",
  "stalled",
  "no_session",
  "no_engine",
  "engine_gone",
  "worker_stopped",
  "engine_busy",
  "bad_range",
  "origin_failed",
  "origin_changed",
  "no_consent",
  "disabled",
  "no_webrtc",
  "no_worker",
  "foreign_worker",
  "no_web_assembly",
  "content_security_policy",
  "save_data",
  "metered",
  "upload_cap",
  "breaker_open",
  "client_error",
  "storage_full",
  "storage_failed",
  "uninstalled",
  "switched_off",
  "wrong_piece",
  "short_piece",
  "bad_frame",
  "unasked",
  "silent",
  "not_held",
  "busy",
  "channel_closed",
  "connect_timeout",
  "connect_failed",
  "replaced",
  "idle",
  "no_such_peer",
  "private",
  "no_store",
  "set_cookie",
  "varies",
  "status",
  "differs",
  "other_origin",
  "too_large",
  "not_cacheable",
  "origin_unreachable",
  "private_address",
  "redirect",
  "visitors_differ",
  "purged",
  "changed",
  "evicted",
  "protocol_version",
  "unknown_site",
  "malformed",
  "out_of_order",
  "flooding",
  "slow_reader",
  "shutting_down",
  "full",
  "unknown",
] satisfies Reason[];

export const policies = [
  {"enabled":true,"prefer":"speed","patience_ms":1000,"rescue_patience_ms":10000,"max_asset_bytes":134217728,"cache_bytes":268435456,"upload_bytes_per_month":2147483648,"upload_bytes_per_second":8388608,"neighbours":8,"min_crowd":2,"strip_local_candidates":false},
] satisfies Policy[];

export const setups = [
  {"site":"demo","release":"r","seed":1,"unix_ms":2,"state":null,"held":[]},
] satisfies Setup[];

export const toNode = [
  {"hello":{"protocol":1,"site":"demo","release":"r","visitor":1,"connects":true,"shares":false}},
  {"hello":{"protocol":1,"site":"demo","release":"r","visitor":1,"manifest":{"epoch":1,"number":2},"connects":true,"shares":false}},
  {"holdings":{"add":[3,1],"remove":[9,1]}},
  {"find":{"assets":[3]}},
  {"signal":{"to":"00000000000000ff","signal":{"sdp":"v=0"}}},
  {"met":{"peer":"00000000000000ff","outcome":{"opened":28}}},
  {"met":{"peer":"00000000000000ff","outcome":{"failed":"connect_timeout"}}},
  {"parted":{"peer":"00000000000000ff","bytes":1,"busy_ms":2}},
  {"parted":{"peer":"00000000000000ff","bytes":1,"busy_ms":2,"fault":"wrong_piece"}},
  {"seen":{"urls":["https://site/"]}},
  {"differs":{"assets":[3]}},
  {"pieces":{"asset":3}},
] satisfies ToNode[];

export const toPeer = [
  {"welcome":{"protocol":1,"peer":"00000000000000ff","stun":["stun:127.0.0.1:3478"],"policy":{"enabled":true,"prefer":"speed","patience_ms":1000,"rescue_patience_ms":10000,"max_asset_bytes":134217728,"cache_bytes":268435456,"upload_bytes_per_month":2147483648,"upload_bytes_per_second":8388608,"neighbours":8,"min_crowd":2,"strip_local_candidates":false},"crowd":2}},
  {"manifest":{"version":{"epoch":0,"number":0},"reset":false,"more":false}},
  {"manifest":{"version":{"epoch":1,"number":2},"reset":true,"more":true,"add":[{"id":3,"url":"https://site/a","hash":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc","size":1,"fresh_ms":2,"headers":[["content-type","image/avif"]]},{"id":3,"url":"https://site/a","hash":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc","size":1,"fresh_ms":2,"headers":[["content-type","image/avif"]],"pieces":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"}],"renew":[{"id":3,"fresh_ms":1}],"remove":[3]}},
  {"pieces":{"asset":3,"pieces":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"}},
  {"introduce":{"peer":"00000000000000ff","offers":true,"holds":[3,1]}},
  {"no_holder":{"assets":[3]}},
  {"signal":{"from":"00000000000000ff","signal":{"sdp":"v=0"}}},
  {"gone":{"peer":"00000000000000ff"}},
  {"policy":{"policy":{"enabled":true,"prefer":"speed","patience_ms":1000,"rescue_patience_ms":10000,"max_asset_bytes":134217728,"cache_bytes":268435456,"upload_bytes_per_month":2147483648,"upload_bytes_per_second":8388608,"neighbours":8,"min_crowd":2,"strip_local_candidates":false}}},
  {"error":{"reason":"malformed","about":"hello"}},
] satisfies ToPeer[];

export const inputs = [
  "tick",
  {"circumstances":{"off":null,"alone":"no_webrtc","selfish":null}},
  {"socket_text":{"text":"{}"}},
  {"request":{"id":1,"url":"https://site/a","range":null,"rescue":false}},
  {"cancel":{"id":1,"reason":null}},
  {"frame":{"peer":"00000000000000ff","header":[1,2],"payload":{"handle":1,"len":2}}},
  {"frame":{"peer":"00000000000000ff","header":[1,2],"payload":null}},
  {"hashed":{"handle":1,"digest":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"}},
  {"note":{"event":"error","reason":null,"about":"","bytes":0}},
] satisfies Input[];

export const outputs = [
  "connect",
  {"open_peer":{"peer":"00000000000000ff","offers":true,"stun":[],"strip_local":false}},
  {"send_frame":{"peer":"00000000000000ff","bytes":[1,2]}},
  {"hash":{"handle":1}},
  {"head":{"id":1,"status":206,"headers":[["content-type","image/avif"]],"first":0,"end":1,"size":1,"pieces":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"}},
  {"fallback":{"id":1,"reason":"not_admitted","delivered":0}},
  {"adopt":{"asset":3,"url":"https://site/a","size":1}},
  {"store":{"hash":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc","segment":0,"handles":[1]}},
  {"shelf":{"patience_ms":0,"rescue_patience_ms":0,"held":[{"url":"https://site/a","hash":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc","size":1,"fresh_until_ms":2,"headers":[["content-type","image/avif"]]}],"admitted":[]}},
  {"stats":{"requests":{"cache":0,"peers":0,"supernode":0,"origin":0},"bytes":{"cache":0,"peers":0,"supernode":0,"origin":0},"uploaded":0,"neighbours":0,"crowd":0,"connected":false,"admitted":0,"held":0,"stored":0,"uploaded_this_month":0,"release":"","off":null}},
  {"stats":{"requests":{"cache":0,"peers":0,"supernode":0,"origin":0},"bytes":{"cache":0,"peers":0,"supernode":0,"origin":0},"uploaded":0,"neighbours":0,"crowd":0,"connected":false,"admitted":0,"held":0,"stored":0,"uploaded_this_month":0,"release":"","off":"save_data"}},
  {"report":{"site":"demo","release":"r","notes":[{"at_ms":1,"event":"served"},{"at_ms":1,"event":"served","reason":"stalled","peer":"00000000000000ff","about":"a","bytes":1}],"traffic":{"requests":{"cache":0,"peers":0,"supernode":0,"origin":0},"bytes":{"cache":0,"peers":0,"supernode":0,"origin":0},"uploaded":0}}},
] satisfies Output[];
