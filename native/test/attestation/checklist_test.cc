// The table of checks: each of its rows can keep a block from being verified, one that is appended included.
#include <cstddef>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "core/attestation/checklist.h"
#include "core/attestation/report.h"

namespace nomyo {
namespace {

// The table with one more row behind AIK_CERTIFICATE, as a change to come will append it.
std::vector<CheckRow> WithOneAppended() {
  std::vector<CheckRow> rows(std::begin(kChecks), std::end(kChecks));
  rows.push_back({Check::kEnd, "APPENDED", VerificationStep::kCertificate});
  return rows;
}

TEST(Checklist, NothingRunMeansNotVerified) {
  const Checklist checks;
  EXPECT_FALSE(checks.Verified());
  EXPECT_EQ(checks.Decisive(), Check::kMissing);
}

TEST(Checklist, EachRowAloneDecidesAlsoOneThatIsAppended) {
  const std::vector<CheckRow> rows = WithOneAppended();
  for (const CheckRow& row : rows) {
    for (const Outcome outcome : {Outcome::kNotRun, Outcome::kFailed}) {
      Checklist checks(rows);
      for (const CheckRow& other : rows) {
        if (other.check != row.check) checks.Pass(other.check, "");
      }
      if (outcome == Outcome::kFailed) checks.Fail(row.check, "");
      EXPECT_FALSE(checks.Verified()) << row.name;
      EXPECT_EQ(checks.Decisive(), row.check) << row.name;
      checks.Pass(row.check, "");
      EXPECT_EQ(checks.Verified(), outcome == Outcome::kNotRun) << row.name << ": a failure stays";
    }
  }
}

TEST(Checklist, WhatFailsBehindTheCertificateLeavesNothingVerifiedOrCertified) {
  const std::vector<CheckRow> rows = WithOneAppended();
  Report report;
  report.checks = Checklist(rows);
  for (const CheckRow& row : kChecks) report.checks.Pass(row.check, "");
  EXPECT_FALSE(report.checks.Verified()) << "it has not run";
  EXPECT_FALSE(report.certified());
  report.checks.Fail(Check::kEnd, "appended");
  EXPECT_FALSE(report.checks.Verified());
  ASSERT_EQ(report.checks.Decisive(), Check::kEnd);
  EXPECT_EQ(report.checks.at(Check::kEnd).detail, "appended");
  EXPECT_FALSE(report.certified());
}

TEST(Checklist, NamesAreUnlike) {
  std::set<std::string_view> names;
  for (const CheckRow& row : kChecks) EXPECT_TRUE(names.insert(row.name).second) << row.name;
}

}  // namespace
}  // namespace nomyo
