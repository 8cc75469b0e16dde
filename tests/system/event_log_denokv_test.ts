import { testEventLog } from "../support/log_contract.ts";
import { denoKvStore, testWithDenokv } from "../support/stores/denokv.ts";

testEventLog("denokv", denoKvStore, testWithDenokv);
