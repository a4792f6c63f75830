#include "tools/eval/text/language_guess.h"

#include <map>
#include <set>
#include <vector>

#include "tools/eval/text/unicode_text.h"

namespace vallm::eval {
namespace {

struct Range {
  char32_t first, last;
  const char* script;
};

// Scripts of one language, or a name in brackets where several share it.
constexpr Range kScripts[] = {
    {0x0041, 0x005A, "[latin]"}, {0x0061, 0x007A, "[latin]"},  {0x00C0, 0x024F, "[latin]"},
    {0x1E00, 0x1EFF, "[latin]"}, {0x0370, 0x03FF, "el"},       {0x0400, 0x04FF, "[cyrillic]"},
    {0x0590, 0x05FF, "he"},      {0x0600, 0x06FF, "[arabic]"}, {0x0900, 0x097F, "[devanagari]"},
    {0x0980, 0x09FF, "bn"},      {0x0A00, 0x0A7F, "pa"},       {0x0A80, 0x0AFF, "gu"},
    {0x0B80, 0x0BFF, "ta"},      {0x0C00, 0x0C7F, "te"},       {0x0C80, 0x0CFF, "kn"},
    {0x0D00, 0x0D7F, "ml"},      {0x0E00, 0x0E7F, "th"},       {0x3040, 0x30FF, "ja"},
    {0x4E00, 0x9FFF, "[han]"},   {0xAC00, 0xD7AF, "ko"}};

struct Language {
  const char* code;
  const char* script;
  const char* letters;  // that the others of its script do not have, each counting as a word
  const char* words;    // frequent ones
};

constexpr Language kLanguages[] = {
    {"en", "[latin]", "",
     "the of and to in is that it for was on are as with his they at be this have from or had by "
     "but "
     "not what all were we when your can said there use an each which she do how their if will you "
     "i "
     "a would could should my our has more about these who so than them some her him"},
    {"de", "[latin]", "ßäöü",
     "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an "
     "werden "
     "aus er hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum war "
     "haben nur "
     "oder aber vor zur bis mehr durch man ich wir kann"},
    {"fr", "[latin]", "çèêëàùœïî",
     "le la les de des du et est un une que qui dans en pour pas sur au avec il elle ce se ne son "
     "sa ses "
     "plus par je nous vous mais ou sont cette aux leur être fait été comme tout on très"},
    {"es", "[latin]", "ñ¿¡",
     "el la los las de y que en un una es por con no para su al lo como más pero sus le ya o este "
     "sí "
     "porque esta entre cuando muy sin sobre también me hasta hay donde quien desde todo nos son "
     "está del se"},
    {"pt", "[latin]", "ãõ",
     "o a os as de e que do da em um uma para com não por mais dos das como mas ao ele se na no "
     "sua ou "
     "quando muito nos já eu também só pelo pela até isso ela entre depois sem mesmo aos são você "
     "está é"},
    {"it", "[latin]", "ìò",
     "il lo la i gli le di e che un una per con non è in del della dei delle si da come al più "
     "anche ma "
     "sono nel alla ha questo questa ci se loro o suo sua essere molto tutti quando dal ai"},
    {"nl", "[latin]", "ĳ",
     "de het een en van ik te dat die in is niet zijn op aan met als voor er maar om hem dan zou "
     "of wat "
     "mijn men dit zo door over ze bij ook tot je naar heeft hebben wordt worden deze geen uit "
     "kan"},
    {"sv", "[latin]", "å",
     "och det att i en jag hon som han på den med var sig för så till är men ett om hade de av "
     "icke mig "
     "du henne då sin nu har inte hans honom skulle från vi kan när eller"},
    {"fi", "[latin]", "",
     "ja on ei se että hän oli ovat mutta kun niin kuin tai joka myös ole sen voi kanssa hänen "
     "tämä ovat "
     "olla jos mitä vain nyt sitten koska minä sinä me he hyvin sekä ovat tämän mukaan"},
    {"pl", "[latin]", "łąęśźżćń",
     "i w na z do nie się że to jest o jak ale po co tak za od przez dla tym był są przy czy już "
     "ich tylko "
     "jego być może który która które oraz"},
    {"vi", "[latin]", "ơưđăạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ",
     "và là của có trong cho một không được các những với này đã người để từ khi đến như cũng về "
     "ra"},
    {"tr", "[latin]", "ğışİ",
     "ve bir bu da de için ile çok ne gibi daha olarak ama o en kadar var olan ben sen biz değil"},
    {"id", "[latin]", "",
     "yang dan di ini itu dengan untuk tidak dari dalam akan pada juga saya ke karena ada adalah "
     "mereka "
     "oleh atau kami kita bisa sebagai dapat telah"},
    {"sw", "[latin]", "",
     "na ya wa kwa ni katika la za kuwa hii cha watu hiyo yake kama au lakini pia hivyo sana kila "
     "moja "
     "wao yetu wetu ambayo ambao huu hizi vya mtu wakati"},
    {"ro", "[latin]", "țșă",
     "și în de la a cu pe nu este un o care din pentru că mai se au fost sunt ce lui sau dar prin"},
    {"cs", "[latin]", "řěůť",
     "a se v na je že o s z do i to k ve pro za by ale jsou jako po jeho který tak si od při"},
    {"da", "[latin]", "",
     "og i at det er en til af den på for med der ikke de som et har jeg var fra men han vil kan "
     "sig om hvad"},
    {"ru", "[cyrillic]", "ыэъё",
     "и в не на я что он с как это по но она к из у за от так же все было для вы мы его то"},
    {"uk", "[cyrillic]", "іїєґ",
     "і в не на що з я як це до та у за від він про але вона так для його"},
    {"bg", "[cyrillic]", "",
     "и на да се за не от е в с са по което като това че ще но той може тя са при към или след "
     "един"},
    {"mk", "[cyrillic]", "ѓќѕџ", "и на да се во за од не е со што ќе како но тоа"},
    {"ar", "[arabic]", "ةىأإؤ",
     "في من على أن إلى هذا التي الذي عن مع كان هذه ما لا أو هو كل بعد بين ذلك هي"},
    {"fa", "[arabic]", "پچژگ",
     "در به از که این است را با برای آن یک می خود تا بر هم نیز شده کرد ها های"},
    {"ur", "[arabic]", "ٹڈڑںےھہ", "کے میں کی ہے اور سے کا کو اس پر نے یہ ہیں ایک بھی"},
    {"hi", "[devanagari]", "",
     "के में है की और से का को हैं पर यह एक कि भी नहीं ने इस लिए तो या हो जो कर था वह अपने"},
    {"mr", "[devanagari]", "ळ",
     "आणि आहे या च्या हे ते ही तो ती आहेत मध्ये करण्यासाठी एक असे होते म्हणून नाही साठी आपल्या केले"},
    {"ne", "[devanagari]", "",
     "र छ को मा हो का यो लागि एक पनि छन् गर्न भएको ले हुन्छ गर्ने तथा गर्छ हामी तपाईं गरेको"}};

// The language of a script's text by its letters and words.
std::string BestOfScript(const std::string& script, std::string_view text) {
  std::map<std::string, double> points;
  const std::string lower = Lower(text);
  const std::vector<char32_t> characters = Characters(lower);
  std::string spaced;
  for (const char32_t c : characters) {
    const bool mark = c < 0x80 && !(c >= 'a' && c <= 'z') && c != '\'';
    spaced += mark || c == 0x0964 || c == 0x060C || c == 0x06D4 ? " " : ToUtf8(c);
  }
  std::map<std::string_view, int> counts;
  for (const std::string_view word : Words(spaced)) ++counts[word];
  for (const Language& language : kLanguages) {
    if (script != language.script) continue;
    double& score = points[language.code];
    for (const std::string_view word : Words(language.words)) {
      const auto found = counts.find(word);
      if (found != counts.end()) score += found->second;
    }
    const std::vector<char32_t> letters = Characters(language.letters);
    const std::set<char32_t> own(letters.begin(), letters.end());
    for (const char32_t c : characters) score += own.count(c) != 0 ? 0.5 : 0;
  }
  std::string best = script == "[latin]" ? "en" : "";
  double most = 0;
  for (const auto& [code, score] : points) {
    if (score > most) {
      most = score;
      best = code;
    }
  }
  if (!best.empty()) return best;
  return script == "[cyrillic]" ? "ru" : script == "[arabic]" ? "ar" : "hi";
}

}  // namespace

std::string GuessLanguage(std::string_view text) {
  std::map<std::string, int> scripts;
  for (const char32_t c : Characters(text)) {
    for (const Range& range : kScripts) {
      if (c < range.first || c > range.last) continue;
      // A syllable of Hangul or a Han character says as much as several letters.
      scripts[range.script] += range.first >= 0x3040 ? 3 : 1;
      break;
    }
  }
  // Japanese mixes kana with Han characters.
  if (scripts["ja"] > 0 && scripts["[han]"] > 0) {
    if (scripts["ja"] * 5 > scripts["[han]"]) scripts["ja"] += scripts["[han]"];
    scripts["[han]"] -= scripts["ja"] * 5 > scripts["[han]"] ? scripts["[han]"] : 0;
  }
  std::string script;
  int most = 0;
  for (const auto& [name, count] : scripts) {
    if (count > most) {
      most = count;
      script = name;
    }
  }
  if (script.empty()) return "";
  if (script == "[han]") return "zh-cn";
  return script[0] == '[' ? BestOfScript(script, text) : script;
}

}  // namespace vallm::eval
