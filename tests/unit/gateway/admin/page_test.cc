#include "gateway/admin/page.h"

#include "gmock/gmock.h"

namespace vallm::gateway {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The text between the first `begin` and the `end` behind it.
std::string Between(const std::string& text, const std::string& begin, const std::string& end) {
  const size_t from = text.find(begin);
  if (from == std::string::npos) return "";
  const size_t to = text.find(end, from + begin.size());
  return text.substr(from + begin.size(), to - from - begin.size());
}

int Count(const std::string& text, const std::string& what) {
  int count = 0;
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; ++at) ++count;
  return count;
}

TEST(AdminPage, IsOnePieceWithoutPlaceholders) {
  const PageFile& page = AdminPageFile();
  EXPECT_THAT(page.html, Not(HasSubstr("<!-- style -->")));
  EXPECT_THAT(page.html, Not(HasSubstr("<!-- script -->")));
  EXPECT_EQ(Count(page.html, "<script"), 1);
  EXPECT_EQ(Count(page.html, "</script>"), 1);
  EXPECT_EQ(Count(page.html, "<style"), 1);
  EXPECT_FALSE(Between(page.html, "<script>", "</script>").empty());
}

TEST(AdminPage, LoadsNothingFromElsewhere) {
  const std::string& html = AdminPageFile().html;
  for (const char* foreign : {"src=\"http", "href=\"http", "url(http", "@import", "//cdn"}) {
    EXPECT_THAT(html, Not(HasSubstr(foreign)));
  }
}

// What comes from the server is shown as text and nothing else.
TEST(AdminPage, NeverWritesMarkup) {
  const std::string script = Between(AdminPageFile().html, "<script>", "</script>");
  for (const char* sink : {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write",
                           "eval(", "new Function", "srcdoc"}) {
    EXPECT_THAT(script, Not(HasSubstr(sink)));
  }
}

TEST(AdminPage, ThePolicyAllowsItsOwnScriptAndStyleOnly) {
  const std::string& policy = AdminPageFile().content_security_policy;
  EXPECT_THAT(policy, HasSubstr("default-src 'none'"));
  EXPECT_EQ(Count(policy, "'sha256-"), 2);
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
  EXPECT_THAT(policy, HasSubstr("frame-ancestors 'none'"));
}

}  // namespace
}  // namespace vallm::gateway
