/** What whoever started this process told it: `run.rs` says what there is. */
export const options = JSON.parse(process.argv[2]);
