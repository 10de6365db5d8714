// ReportMaker: a verifier's report as the value that lib/attestation/report.ts describes, without text in between.
#pragma once

#include <optional>

#include <napi.h>

#include "core/attestation/report.h"

namespace nomyo::addon {

// One for each environment. JavaScript thread.
class ReportMaker {
 public:
  // Create gives nothing when no JavaScript can run any more (a worker that is terminated while it loads the addon).
  static std::optional<ReportMaker> Create(Napi::Env env);

  // Make returns the report; an empty value with an exception pending when V8 has no memory for it. All of it are own
  // properties, whatever somebody has put into a prototype.
  Napi::Value Make(Napi::Env env, const Report& report) const;

 private:
  Napi::FunctionReference report_;
  Napi::FunctionReference aik_;
  Napi::FunctionReference quote_;
  Napi::FunctionReference members_;
  Napi::FunctionReference difference_;
  Napi::FunctionReference list_;
};

}  // namespace nomyo::addon
